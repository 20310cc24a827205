import { parentPort, workerData } from "node:worker_threads";
import { startCoverage } from "./coverage.ts";
import { stream } from "./form.ts";
import { fuzz, type Summary } from "./fuzzer.ts";
import { seededRandom } from "./random.ts";
import { oasisSeeds, ownSeeds } from "./seeds.ts";
import { inputBytesMax, sharedProgress } from "./shared-progress.ts";
import { type Target, targets } from "./targets.ts";

/** What the thread is told: `memory` is that of SharedProgress. */
export interface WorkerOrder {
  readonly target: string;
  readonly inputs: number;
  readonly seed: number;
  readonly seedFolder: string | undefined;
  /** This one alone is run, as hexadecimal digits. */
  readonly only: string | undefined;
  readonly memory: SharedArrayBuffer;
}

/** What it answers at its end. */
export interface WorkerReport extends Summary {
  readonly coverage: { readonly covered: number; readonly bytes: number; readonly files: number };
  readonly heapMib: number;
}

const { target: name, inputs, seed, seedFolder, only, memory } = workerData as WorkerOrder;
const target = targets[name];
if (target === undefined) throw new Error(`no target ${name}: ${Object.keys(targets).join(", ")}`);

// Most inputs are refused by an error: its stack, which costs more than the decoding, need only say where.
Error.stackTraceLimit = 4;
const progress = sharedProgress(memory);
const watched = { about: progress.begin, foundOne: progress.foundOne };
const seeds = only === undefined ? seedsOf(target) : Array.from({ length: inputs }, () => Buffer.from(only, "hex"));
const coverage = startCoverage(target.files);
const summary = await fuzz({ target, seeds, inputs, random: seededRandom(seed), coverage, ...watched });
const total = coverage.total();
coverage.stop();
parentPort?.postMessage({ ...summary, coverage: total, heapMib: process.memoryUsage().heapUsed / 2 ** 20 });

/** Seeds are streams of TTLV; what takes single messages is given their last. */
function seedsOf({ form, sessions }: Target): Buffer[] {
  const all = [...ownSeeds(sessions === undefined), ...(seedFolder === undefined ? [] : oasisSeeds(seedFolder))];
  if (form === stream) return all.filter(fits);
  const items = all.map((each) => stream.read(each)).filter(({ length }) => length > 0);
  return items.map((each) => form.write(sessions === undefined ? each.slice(-1) : each)).filter(fits);
}

function fits({ length }: Buffer): boolean {
  return length <= inputBytesMax;
}
