/** Many schedules of the replication protocol on simulated time: see the help text. */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { type Length, type Simulated, simulate } from "./simulate.ts";

const help = `Runs the real replication code on simulated time, disks and links: writes, crashes, cuts, lost notifications,
pauses, wrong clocks, disks that are set back, peers that lie, pruned logs and snapshots, nodes that join, leave, die and come
back, sites that are destroyed; and checks every promise.

  npm run simulate-replication -- [--seed S] [--seeds N] [--length mixed|long|short] [--until-broken] [--verbose]

The same seed and length are the same schedule, so a failing one is a test case; --verbose tells what was done. Of mixed
ones, the default, every fourth seed is long. One thread for each core; --until-broken ends all of them. Exit 1: broken, or
one came to no end.
`;
/** Of mixed schedules. */
const longEvery = 4;
/** Little lives longer than an event, and clearing what does not costs less the rarer it is done. */
const youngMb = 64;
const { values } = parseArgs({
  options: {
    help: { type: "boolean" },
    verbose: { type: "boolean" },
    "until-broken": { type: "boolean" },
    length: { type: "string", default: "mixed" },
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "1000" },
  },
});
if (!isMainThread) for await (const one of schedules(workerData)) parentPort?.postMessage(one);
else if (values.help) process.stdout.write(help);
else if (!Number.isInteger(Number(values.seed)) || !(Number(values.seeds) >= 1)) {
  process.stderr.write(help);
  process.exitCode = 2;
} else process.exitCode = await run(Number(values.seed), Number(values.seeds));

interface Part {
  readonly first: number;
  readonly end: number;
  readonly step: number;
}

async function* schedules({ first, end, step }: Part): AsyncGenerator<Simulated> {
  for (let seed = first; seed < end; seed += step) yield await simulate(seed, lengthOf(seed));
}

function lengthOf(seed: number): Length {
  const { length } = values;
  if (length === "long" || length === "short") return length;
  return seed % longEvery === 0 ? "long" : "short";
}

async function run(first: number, count: number): Promise<number> {
  const begin = performance.now();
  const all: Simulated[] = [];
  const workers: Worker[] = [];
  const take = (simulated: Simulated) => {
    all.push(simulated);
    if (values.verbose) for (const deed of simulated.deeds) console.log(deed);
    for (const promise of simulated.broken)
      console.log(`seed ${simulated.seed}, ${lengthOf(simulated.seed)}: ${promise}`);
    if (values["until-broken"] && simulated.broken.length > 0) for (const worker of workers) void worker.terminate();
  };
  const step = Math.min(availableParallelism(), count);
  const parts = Array.from({ length: step }, (_, at): Part => ({ first: first + at, end: first + count, step }));
  await Promise.all(parts.map((part) => inThread(part, workers, take)));
  const seconds = (performance.now() - begin) / 1000;
  console.log(
    `${summary(all, first)}, ${seconds.toFixed(1)} s (${Math.round((60 * all.length) / seconds)} schedules a minute)`,
  );
  const broken = all.some((one) => one.broken.length > 0);
  // A thread whose schedule waits for ever ends without a word.
  const isShort = all.length < count && !(values["until-broken"] && broken);
  if (isShort) console.log(`${count - all.length} schedules came to no end`);
  return broken || isShort ? 1 : 0;
}

/** Resolves when the thread has ended, by itself or because it was told to; rejects with what it threw. */
function inThread(part: Part, workers: Worker[], take: (simulated: Simulated) => void): Promise<void> {
  const worker = new Worker(new URL(import.meta.url), {
    workerData: part,
    argv: process.argv.slice(2),
    resourceLimits: { maxYoungGenerationSizeMb: youngMb },
  });
  workers.push(worker);
  worker.on("message", take);
  return new Promise((resolve, reject) => {
    worker.once("error", reject);
    worker.once("exit", () => resolve());
  });
}

function summary(all: readonly Simulated[], first: number): string {
  const sum = (of: (one: Simulated) => number) => all.reduce((total, one) => total + of(one), 0);
  const broken = all.filter((one) => one.broken.length > 0).length;
  const rare = (["forked", "renewed", "snapshots", "pruned", "departed"] as const).map(
    (what) => `${what} ${sum((one) => one.counts[what])}`,
  );
  return (
    `${all.length} schedules from seed ${first}, ${sum((one) => one.events)} events, ` +
    `${sum((one) => one.acknowledged)} writes acknowledged (${rare.join(", ")}), ${broken} broken`
  );
}
