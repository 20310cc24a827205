/** Attacks a fleet of real nodes and checks what clients saw: see the help text. */
import { spawnSync } from "node:child_process";
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
  --faults A,B  only these: ${Object.keys(faults).join(", ")}

Everything runs in namespaces of its own and in memory; nothing is left behind, whatever happens. Needs root.
Exit 1: a promise was broken; the seed and what happened to the object are printed.
`;
const inside = "KEYFLEET_HISTORY_INSIDE";

const { values } = parseArgs({
  options: {
    help: { type: "boolean" },
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "1" },
    nodes: { type: "string", default: "6" },
    seconds: { type: "string", default: "20" },
    minutes: { type: "string", default: "1000" },
    faults: { type: "string", default: "" },
  },
});
if (values.help) process.stdout.write(help);
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
    'mount --make-rprivate /; mount -t proc proc /proc; mount -t tmpfs -o mode=755 tmpfs /run; mount -t tmpfs tmpfs /mnt; exec "$@"';
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
    fresh = recorder.destroyed.size > 0 || outcome.violations.length > 0;
    say(begin, line(outcome, readyMs));
    if (outcome.violations.length > 0) tell(outcome);
  }
  summarise(outcomes);
  return outcomes.some(({ violations }) => violations.length > 0) ? 1 : 0;
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
    equalAfterMs,
    violations,
  } = outcome;
  return [
    `seed ${seed}: ${violations.length === 0 ? "held" : `${violations.length} VIOLATIONS`}`,
    `ready in ${(readyMs / 1000).toFixed(1)} s`,
    `${calls} calls`,
    `${acknowledgedWrites} writes acknowledged, ${unknownWrites} unknown`,
    `${deeds} deeds${outcome.sitesDestroyed ? ", sites destroyed" : ""}`,
    `longest stall ${(longestStallMs / 1000).toFixed(1)} s, ${(longestStallElsewhereMs / 1000).toFixed(1)} s where nothing was done`,
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
  console.log(
    `${outcomes.length} seeds, ${sum((one) => one.calls)} calls, ${sum((one) => one.acknowledgedWrites)} writes acknowledged, ` +
      `${sum((one) => one.deeds)} deeds, ${outcomes.filter((one) => one.sitesDestroyed).length} times all sites but one destroyed; ` +
      `longest stall ${(worst((one) => one.longestStallMs) / 1000).toFixed(1)} s, where nothing was done ${(worst((one) => one.longestStallElsewhereMs) / 1000).toFixed(1)} s, equal at the latest ${(worst((one) => one.equalAfterMs) / 1000).toFixed(1)} s after healing; ` +
      `${failed.length === 0 ? "no promise broken" : `broken by seeds ${failed.join(", ")}`}`,
  );
}

function say(begin: number, text: string): void {
  console.log(`[${((performance.now() - begin) / 1000).toFixed(1).padStart(7)} s] ${text}`);
}
