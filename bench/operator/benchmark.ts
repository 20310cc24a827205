import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { aCluster } from "../../operator/testing/builders.ts";
import { requestsFor } from "../../operator/testing/certificate-requests.ts";
import { foundedFleet } from "../../operator/testing/schedule.ts";
import { Simulation } from "../../operator/testing/simulation.ts";
import type { Benchmark } from "../benchmark.ts";
import { alignTable } from "../table.ts";
import { idleHour } from "./idle-hour.ts";
import { lostSite } from "./lost-site.ts";
import { memoryOf } from "./memory.ts";
import { upgrade } from "./upgrade.ts";

const help = `the operator's own code over API servers in memory, KmsClusters of 20 nodes in three sites
  --measure idle,lost,upgrade,passes   of: idle, lost, upgrade, passes
  --fleets 1,10,100   how many KmsClusters one operator serves, of "passes", which measures its memory too
  --rounds 40         passes over each fleet, idle and with one change each
  --times 8           how often the API server of a site becomes a black hole and is back, of "lost"
idle, lost and upgrade are whole operators over HTTPS: one in an hour of virtual time, one and three in real time; the nodes
of the upgrade (6) are played, and take a second to come back, which is left out. The load average is in each row`;

/** One figure of a row, and what is to be reached. */
interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** What it shall be below, or equal to. */
  readonly target?: number;
}

interface Asked {
  readonly fleets: readonly number[];
  readonly rounds: number;
  readonly times: number;
}

const measures: Readonly<Record<string, (begin: Begin, asked: Asked) => Promise<void>>> = {
  idle: async (begin) => tell("idle", await idleFigures(begin)),
  lost: async ({ fleet }, { times }) => tell("lost", await lostFigures(fleet, times)),
  upgrade: async () => tell("upgrade", await upgradeFigures()),
  passes: async (begin, { fleets, rounds }) => {
    console.log(
      "heap, resident: this process, with three operators and their API servers; alone: one operator (operator/main.ts) in a process\n" +
        "of its own, which has settled that many fleets of its site over HTTPS and sees those of two others, after a collection;\n" +
        "own: resident without the pages of files",
    );
    console.log(columns.join("  "));
    for (const count of fleets) await measure(begin, count, rounds);
  },
};

/** Pass time, memory; requests and writes of an idle hour; loss and return of a site; the operators' share of an upgrade. */
export const operator: Benchmark = {
  help,
  run: async (words) => {
    const text = (value: string) => ({ type: "string", default: value }) as const;
    const { values } = parseArgs({
      args: [...words],
      options: {
        measure: text(Object.keys(measures).join()),
        ...{ fleets: text("1,10,100"), rounds: text("40"), times: text("8") },
      },
    });
    const fleets = values.fleets.split(",").map(Number);
    const asked = { fleets, rounds: Number(values.rounds), times: Number(values.times) };
    const begin = await fleetOfTwenty();
    for (const name of values.measure.split(",")) {
      const run = measures[name];
      if (run === undefined) throw new Error(`--measure knows ${Object.keys(measures).join(", ")}, not ${name}`);
      await run(begin, asked);
    }
  },
};

/** A table, and the same as a line of JSON. */
function tell(measure: string, figures: readonly Figure[]): void {
  const loadAverage = Number((loadavg()[0] ?? 0).toFixed(1));
  const lines = figures.map(({ what, value, unit, target }) => {
    const wanted = target === undefined ? "" : `≤ ${target} ${unit}`;
    return [measure, what, `${Number(value.toFixed(2))} ${unit}`, wanted, String(loadAverage)];
  });
  console.log(alignTable([["measure", "what", "figure", "target", "load average"], ...lines], [0, 1]));
  const shown = figures.map(({ what, value, ...rest }) => ({ what, value: Number(value.toFixed(3)), ...rest }));
  console.log(JSON.stringify({ measure, loadAverage, figures: shown }));
}

async function idleFigures(begin: Begin): Promise<Figure[]> {
  const { requests, ownSite, otherSite, writes, leaseWrites, byVerb } = await idleHour(begin.fleet);
  const { "get KmsCluster": looks = 0, watch = 0 } = byVerb;
  const unit = "an hour";
  return [
    { what: "writes of one operator over HTTPS, Leases aside", value: writes, unit, target: 0 },
    { what: "writes of three operators on seeded schedules", value: await writesOfHour(begin), unit, target: 0 },
    { what: "renewals of the leader's Lease", value: leaseWrites, unit },
    { what: "requests of one operator, all", value: requests, unit },
    { what: "to its own site's API server", value: ownSite, unit },
    { what: "to each other site's", value: otherSite, unit },
    { what: "of all: looks whether a site is there", value: looks, unit },
    { what: "of all: watches", value: watch, unit },
  ];
}

async function lostFigures(fleet: Simulation, times: number): Promise<Figure[]> {
  const { lossMs, returnMs } = await lostSite(fleet, times);
  return [
    ...summary("loss of a site until it is in the status", lossMs, 4),
    ...summary("return of a site until it is in the status", returnMs, 4),
  ];
}

async function upgradeFigures(): Promise<Figure[]> {
  const cluster = aCluster();
  const fleet = await foundedFleet({ cluster, requests: requestsFor(cluster) });
  const { restartMs, betweenMs, firstToldMs } = await upgrade(fleet);
  return [
    ...summary("between two nodes: one serves and has soaked until the next is told", betweenMs, 2),
    ...summary("of a node: it is told until its pod is made anew", restartMs),
    { what: "edit of the document until the first node is told", value: firstToldMs / 1000, unit: "s" },
  ];
}

function summary(what: string, timesMs: readonly number[], target?: number): Figure[] {
  const figure = (of: string, ms: number) => ({ what: `${what}, ${of}`, value: ms / 1000, unit: "s" });
  const longest = { ...figure(`longest of ${timesMs.length}`, Math.max(...timesMs)), ...(target && { target }) };
  return [figure("median", at(timesMs, 0.5)), longest];
}

const columns = [
  ...["fleets", "idle p50 ms", "idle p99 ms", "change p50 ms", "change p99 ms"],
  ...["heap MiB", "resident MiB", "alone heap MiB", "alone own MiB", "alone resident MiB"],
];

const setting = () => {
  const cluster = aCluster(({ spec }) => {
    for (const [at, site] of spec.sites.entries())
      site.nodes = Array.from({ length: at === 2 ? 6 : 7 }, (_, index) => ({ name: `${site.name}-${letters[index]}` }));
  });
  return { cluster, requests: requestsFor(cluster), edits: false };
};
const letters = "abcdefgh";

interface Begin {
  readonly fleet: Simulation;
  readonly options: ReturnType<typeof setting>;
}

async function fleetOfTwenty(): Promise<Begin> {
  const options = setting();
  return { fleet: await foundedFleet(options), options };
}

/** Virtual time; renewals of leases are not writes of objects and nobody holds the lock. */
async function writesOfHour({ fleet, options }: Begin): Promise<number> {
  const world = new Simulation(1, options, fleet);
  for (const operator of world.operators) await operator.pass();
  for (let step = 0; step < 60; step++) await world.step(false);
  const [writes, fromMs] = [world.writes(), world.nowMs];
  while (world.nowMs < fromMs + 3_600_000) await world.step(false);
  return world.writes() - writes;
}

async function measure({ fleet, options }: Begin, fleets: number, rounds: number): Promise<void> {
  const worlds = Array.from({ length: fleets }, (_, seed) => new Simulation(seed, options, fleet));
  for (const world of worlds) await settle(world);
  const idle: number[] = [];
  const changed: number[] = [];
  for (let round = 0; round < rounds; round++)
    for (const world of worlds) {
      idle.push(await timed(world));
      breakOne(world, round % 2 === 0);
      changed.push(await timed(world));
    }
  globalThis.gc?.();
  const { heapUsed, rss } = process.memoryUsage();
  const alone = await memoryOf(fleet, fleets);
  const figures = [
    at(idle, 0.5),
    at(idle, 0.99),
    at(changed, 0.5),
    at(changed, 0.99),
    ...[heapUsed, rss, alone.heapUsed, alone.own, alone.resident].map((bytes) => bytes / 2 ** 20),
  ];
  const cells = [String(fleets), ...figures.map((figure) => figure.toFixed(1))];
  console.log(cells.map((cell, at) => cell.padStart(columns[at]?.length ?? 0)).join("  "));
  console.log(
    JSON.stringify({ fleets, nodes: 20, rounds, figures: figures.map((figure) => Number(figure.toFixed(2))) }),
  );
}

/** What an operator holds of each fleet is its own; nothing is left to do. */
async function settle({ sites, operators }: Simulation): Promise<void> {
  for (const map of sites.flatMap(({ nodes, objects }): Map<string, unknown>[] => [nodes, objects]))
    for (const [key, value] of map) map.set(key, structuredClone(value));
  for (const operator of operators) operator.look();
  for (const operator of operators) await operator.pass();
}

/** One pass of the first site's operator, in milliseconds. */
async function timed(world: Simulation): Promise<number> {
  const began = performance.now();
  await world.operators[0]?.pass();
  return performance.now() - began;
}

/** One node of the first site says that it does not serve, or that it does again. */
function breakOne(world: Simulation, serves: boolean): void {
  const [site] = world.sites;
  const node = site?.nodes.values().next().value;
  if (site === undefined || node?.status === undefined) return;
  const conditions = (node.status.conditions ?? []).map((condition) =>
    condition.type === "Serving"
      ? { ...condition, status: serves ? ("False" as const) : ("True" as const) }
      : condition,
  );
  site.putNode({ ...node, status: { ...node.status, conditions } });
}

function at(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? 0;
}
