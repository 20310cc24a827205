/** Attacks a fleet of real nodes and checks what clients saw: see the help text. */
import { spawnSync } from "node:child_process";
import { appendFileSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { faults } from "./faults.ts";
import { Recorder } from "./record.ts";
import { type Outcome, runSeed } from "./run-seed.ts";
import { memberNames, World } from "./world.ts";

const help = `Runs a fleet of real nodes under a seeded nemesis while clients write and read, and checks what they saw.

  npm run history -- [--seed S] [--seeds N] [--nodes 6] [--seconds T]

  --seed S      the first seed (default 1)
  --seeds N     so many seeds, S, S + 1, ... (default 1)
  --nodes N     members, over three sites (default 6)
  --seconds T   how long each seed hurts the fleet (default 20)
  --minutes M   begins no further seed after so many minutes
  --record F    adds a line of JSON a seed to this file
  --sum F,G     only sums up what such files say
  --faults A,B  only these: ${Object.keys(faults).join(", ")}

Everything runs in namespaces of its own and in memory; nothing is left behind, whatever happens. Needs root.
Exit 1: a promise was broken (the seed and what happened to the object are printed), or a fault did no harm however often.
`;
const triesMin = 5;
const inside = "KEYFLEET_HISTORY_INSIDE";

const { values } = parseArgs({
  options: {
    help: { type: "boolean" },
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "1" },
    nodes: { type: "string", default: "6" },
    seconds: { type: "string", default: "20" },
    minutes: { type: "string", default: "1000" },
    record: { type: "string" },
    sum: { type: "string" },
    faults: { type: "string", default: "" },
  },
});
if (values.help) process.stdout.write(help);
else if (values.sum !== undefined) summarise(values.sum.split(",").flatMap(recorded));
else if (process.env[inside] === undefined) process.exit(enter());
else process.exit(await main());

/** The same again in network, mount and process namespaces that end with it. */
function enter(): number {
  const namespaces = [
    "--pdeathsig",
    "KILL",
    "--",
    "unshare",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--",
  ];
  const script =
    'mount --make-rprivate /; mount -t proc proc /proc; mount -t tmpfs -o mode=755 tmpfs /run; mount -t tmpfs tmpfs /mnt; mount -t tmpfs tmpfs /dev/shm; exec "$@"';
  const command = [process.execPath, ...process.argv.slice(1)];
  const { status } = spawnSync("setpriv", [...namespaces, "sh", "-euc", script, "sh", ...command], {
    stdio: "inherit",
    env: { ...process.env, [inside]: "yes" },
  });
  return status ?? 1;
}

async function main(): Promise<number> {
  const begin = performance.now();
  let recorder = new Recorder();
  const world = await World.make("/mnt", () => recorder);
  await world.form(memberNames(Number(values.nodes)));
  say(begin, `a fleet of ${values.nodes} is formed and kept as the template`);
  const kinds = values.faults.split(",").filter((kind) => kind !== "");
  const strange = kinds.find((kind) => !Object.hasOwn(faults, kind));
  if (strange !== undefined) throw new Error(`there is no fault "${strange}"`);
  const outcomes: Outcome[] = [];
  const first = Number(values.seed);
  let fresh = true;
  for (let seed = first; seed < first + Number(values.seeds); seed += 1) {
    if (performance.now() - begin > Number(values.minutes) * 60_000) break;
    recorder = new Recorder();
    const started = performance.now();
    // A fleet that came through whole goes on as it is: the next seed finds a log, restarts and clocks behind it.
    if (fresh) await world.reset();
    const readyMs = performance.now() - started;
    const outcome = await runSeed({ world, recorder, seed, seconds: Number(values.seconds), kinds });
    outcomes.push(outcome);
    fresh = recorder.destroyed.size > 0 || outcome.violations.length > 0 || world.allRaised;
    say(begin, line(outcome, readyMs));
    if (values.record !== undefined) appendFileSync(values.record, `${JSON.stringify({ ...outcome, readyMs })}\n`);
    if (outcome.violations.length > 0) tell(outcome);
  }
  summarise(outcomes);
  const harmless = Object.keys(faults).filter((kind) => !seenToAct(kind, outcomes));
  if (harmless.length > 0) console.log(`tried often and never seen to do harm: ${harmless.join(", ")}`);
  return harmless.length > 0 || outcomes.some(({ violations }) => violations.length > 0) ? 1 : 0;
}

function line(outcome: Outcome, readyMs: number): string {
  const {
    seed,
    calls,
    acknowledgedWrites,
    unknownWrites,
    deeds,
    longestStallMs,
    longestStallElsewhereMs,
    longestOutageElsewhereMs,
    machineStoodStillMs,
    equalAfterMs,
    violations,
  } = outcome;
  return [
    `seed ${seed}: ${violations.length === 0 ? "held" : `${violations.length} VIOLATIONS`}`,
    `ready in ${(readyMs / 1000).toFixed(1)} s`,
    `${calls} calls`,
    `${acknowledgedWrites} writes acknowledged, ${unknownWrites} unknown`,
    `${deeds} deeds${outcome.membersChanged ? ", members changed" : ""}${outcome.sitesDestroyed ? ", sites destroyed" : ""}`,
    `${outcome.forked} forked`,
    `longest stall ${(longestStallMs / 1000).toFixed(1)} s, ${(longestStallElsewhereMs / 1000).toFixed(1)} s where nothing was done, longest outage there ${(longestOutageElsewhereMs / 1000).toFixed(1)} s`,
    ...(machineStoodStillMs > 0 ? [`the machine stood still for ${(machineStoodStillMs / 1000).toFixed(1)} s`] : []),
    `spent ${Object.entries(outcome.spentMs)
      .map(([what, ms]) => `${what} ${(ms / 1000).toFixed(1)} s`)
      .join(" ")}`,
    `equal ${(equalAfterMs / 1000).toFixed(1)} s after healing`,
  ].join(", ");
}

function tell({ seed, violations, story }: Outcome): void {
  for (const { rule, object, detail } of violations.slice(0, 10))
    console.log(`  seed ${seed}: broken: ${rule}; object ${object}: ${detail}`);
  for (const each of story) console.log(`  ${each}`);
}

function summarise(outcomes: readonly Outcome[]): void {
  const sum = (of: (outcome: Outcome) => number) => outcomes.reduce((total, outcome) => total + of(outcome), 0);
  const worst = (of: (outcome: Outcome) => number) => Math.max(0, ...outcomes.map(of));
  const failed = outcomes.filter(({ violations }) => violations.length > 0).map(({ seed }) => seed);
  for (const text of faultLines(outcomes)) console.log(`  ${text}`);
  console.log(
    `${outcomes.length} seeds, ${outcomes.filter((one) => one.membersChanged).length} with a change of members, ${sum((one) => one.forked)} forked logs, ${sum((one) => one.calls)} calls, ${sum((one) => one.acknowledgedWrites)} writes acknowledged, ` +
      `${sum((one) => one.deeds)} deeds, ${outcomes.filter((one) => one.sitesDestroyed).length} times all sites but one destroyed; ` +
      `longest stall ${(worst((one) => one.longestStallMs) / 1000).toFixed(1)} s, where nothing was done ${(worst((one) => one.longestStallElsewhereMs) / 1000).toFixed(1)} s, equal at the latest ${(worst((one) => one.equalAfterMs) / 1000).toFixed(1)} s after healing; ` +
      `${failed.length === 0 ? "no promise broken" : `broken by seeds ${failed.join(", ")}`}`,
  );
}

function recorded(file: string): readonly Outcome[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((text) => text.endsWith("}"))
    .map((text) => JSON.parse(text) as Outcome);
}

/** A fault that never acts proves nothing, which a few tries do not tell. */
function seenToAct(kind: string, outcomes: readonly Outcome[]): boolean {
  const counts = outcomes.flatMap((outcome) => outcome.faults[kind] ?? []);
  const done = counts.reduce((total, each) => total + each.done, 0);
  return done < triesMin || counts.some(({ acted }) => acted > 0);
}

/** Each kind of harm: how often it was done, and how often it was seen to act. */
function faultLines(outcomes: readonly Outcome[]): readonly string[] {
  return Object.keys(faults).map((kind) => {
    const counts = outcomes.flatMap((outcome) => outcome.faults[kind] ?? []);
    const sum = (of: "done" | "acted") => counts.reduce((total, each) => total + each[of], 0);
    return `${kind}: ${sum("done")} times, seen to act ${sum("acted")} times`;
  });
}

function say(begin: number, text: string): void {
  console.log(`[${((performance.now() - begin) / 1000).toFixed(1).padStart(7)} s] ${text}`);
}
