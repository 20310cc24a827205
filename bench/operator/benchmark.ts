import { parseArgs } from "node:util";
import { aCluster } from "../../operator/testing/builders.ts";
import { requestsFor } from "../../operator/testing/certificate-requests.ts";
import { foundedFleet } from "../../operator/testing/schedule.ts";
import { Simulation } from "../../operator/testing/simulation.ts";
import type { Benchmark } from "../benchmark.ts";
import { memoryOf } from "./memory.ts";

const help = `passes of the operator (its own code, API servers in memory) over KmsClusters of 20 nodes in three sites
  --fleets 1,10,100   how many KmsClusters one operator serves
  --rounds 40         passes over each fleet, idle and with one change each`;

/** Pass time p50 and p99, idle and with one change; writes in an idle hour; memory. */
export const operator: Benchmark = {
  help,
  run: async (words) => {
    const { values } = parseArgs({
      args: [...words],
      options: { fleets: { type: "string", default: "1,10,100" }, rounds: { type: "string", default: "40" } },
    });
    const begin = await fleetOfTwenty();
    console.log(`idle hour of one fleet: ${await idleHour(begin)} writes by the operators of three sites`);
    console.log(
      "heap, resident: this process, with three operators and their API servers; alone: one operator (operator/main.ts) in a process\n" +
        "of its own, which has settled that many fleets of its site over HTTPS and sees those of two others, after a collection;\n" +
        "own: resident without the pages of files",
    );
    console.log(columns.join("  "));
    for (const fleets of values.fleets.split(",").map(Number)) await measure(begin, fleets, Number(values.rounds));
  },
};

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
async function idleHour({ fleet, options }: Begin): Promise<number> {
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
