import { parentPort, workerData } from "node:worker_threads";
import { startCoverage } from "./coverage.ts";
import { fuzz, type Summary } from "./fuzzer.ts";
import { seededRandom } from "./random.ts";
import { oasisSeeds, ownSeeds } from "./seeds.ts";
import { stream, targets } from "./targets.ts";

/** What the thread is told. `shared`: a count of inputs, the length of the present one, and its bytes. */
export interface WorkerOrder {
  readonly target: string;
  readonly inputs: number;
  readonly seed: number;
  readonly seedFolder: string | undefined;
  readonly shared: SharedArrayBuffer;
}

/** What it answers at its end. */
export interface WorkerReport extends Summary {
  readonly coverage: { readonly covered: number; readonly bytes: number; readonly files: number };
  readonly heapMib: number;
}

const { target: name, inputs, seed, seedFolder, shared } = workerData as WorkerOrder;
const target = targets[name];
if (target === undefined) throw new Error(`no target ${name}: ${Object.keys(targets).join(", ")}`);

// Most inputs are refused by an error: its stack, which costs more than the decoding, need only say where.
Error.stackTraceLimit = 4;
const numbers = new Int32Array(shared, 0, 2);
const bytes = Buffer.from(shared, 8);
const about = (input: Buffer) => {
  numbers[1] = input.copy(bytes);
  Atomics.add(numbers, 0, 1);
};
const ofOneMessage = target.form !== stream || target.name !== "session";
const sessions = [...ownSeeds(ofOneMessage), ...(seedFolder === undefined ? [] : oasisSeeds(seedFolder))];
// Seeds are streams of TTLV; a form that holds one message takes their last.
const seeds = sessions.flatMap((session) => {
  const messages = stream.read(session);
  return target.form === stream ? [session] : messages.slice(-1).map((message) => target.form.write([message]));
});
const coverage = startCoverage(target.files);
const summary = await fuzz({ target, seeds, inputs, random: seededRandom(seed), coverage, about });
const total = coverage.total();
coverage.stop();
parentPort?.postMessage({ ...summary, coverage: total, heapMib: process.memoryUsage().heapUsed / 2 ** 20 });
