import { Worker } from "node:worker_threads";
import { type SharedProgress, sharedProgress } from "./shared-progress.ts";
import type { WorkerOrder, WorkerReport } from "./worker.ts";

/** What a run came to, for people and for the test. */
export interface Report extends WorkerReport {
  readonly seed: number;
  readonly peakMib: number;
}

export interface RunOptions {
  readonly target: string;
  readonly inputs: number;
  readonly seed: number;
  /** Folder with OASIS test cases (XML) whose requests are seeds too. */
  readonly seedFolder?: string;
  /** An input as hexadecimal digits: it alone is run, as many times as there are inputs. */
  readonly only?: string;
  /** Takes a line about once a minute, on how far the run is. */
  readonly progress?: (line: string) => void;
}

/** An input that takes more processor time than this hangs, and so does one that waits longer: on a busy machine those differ. */
const hangCpuMs = 20_000;
const hangMs = 600_000;
/** Heap of the thread: an input that needs more ends the thread, and is found. */
const heapMaxMib = 256;
const progressMs = 60_000;

/** Runs the fuzzer in a thread that may hang, crash or run out of memory: each is a finding, with the input that did it. */
export async function runFuzzer(options: RunOptions): Promise<Report> {
  const shared = sharedProgress();
  const { target, inputs, seed, seedFolder, only } = options;
  const workerData: WorkerOrder = { target, inputs, seed, seedFolder, only, memory: shared.memory };
  const worker = new Worker(new URL("worker.ts", import.meta.url), {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: heapMaxMib },
  });
  const memory = watchMemory();
  const hang = watchProgress(shared);
  const begin = performance.now();
  const telling = setInterval(() => {
    options.progress?.(progressText(options, shared, (performance.now() - begin) / 1000));
  }, progressMs);
  const { promise, resolve, reject } = Promise.withResolvers<WorkerReport>();
  worker.once("message", resolve);
  worker.once("error", (error) => reject(ended(`the thread ended: ${error.message}`, shared)));
  worker.once("exit", (code) => reject(ended(`the thread ended with ${code}`, shared)));
  hang.found.then(() => reject(ended(`no end after ${hangCpuMs} ms of processor time or ${hangMs} ms`, shared)));
  try {
    return { ...(await promise), seed, peakMib: memory.peakMib() };
  } finally {
    clearInterval(telling);
    hang.stop();
    memory.stop();
    await worker.terminate();
  }
}

/** How far a run is after so many seconds. */
export function progressText(
  { target, inputs: asked }: Pick<RunOptions, "target" | "inputs">,
  { inputs, findings }: Pick<SharedProgress, "inputs" | "findings">,
  seconds: number,
): string {
  const [done, all] = [inputs, asked].map((count) => count.toLocaleString("en"));
  return `${target}: ${done} of ${all} inputs, ${(inputs / seconds).toFixed(0)} a second, ${findings} findings`;
}

function ended(problem: string, { input }: SharedProgress): Error {
  return new Error(`${problem}; the input was ${input.toString("hex")}`);
}

function watchProgress(shared: SharedProgress) {
  const { promise: found, resolve } = Promise.withResolvers<void>();
  let [last, since, cpu] = [-1, performance.now(), process.cpuUsage()];
  const timer = setInterval(() => {
    const now = shared.inputs;
    // Before the first input the thread loads and measures its code.
    if (now !== last || now === 0) [last, since, cpu] = [now, performance.now(), process.cpuUsage()];
    else if (performance.now() - since > hangMs || process.cpuUsage(cpu).user / 1000 > hangCpuMs) resolve();
  }, 500);
  return { found, stop: () => clearInterval(timer) };
}

function watchMemory() {
  let peak = 0;
  const look = () => {
    peak = Math.max(peak, process.memoryUsage.rss());
  };
  const timer = setInterval(look, 200);
  return {
    peakMib: () => {
      look();
      return peak / 2 ** 20;
    },
    stop: () => clearInterval(timer),
  };
}

/** The summary that is printed and kept in docs/fuzzing.md. */
export function summaryText(report: Report): string {
  const { coverage, inputs, again, seconds, slowest } = report;
  const percent = (100 * coverage.covered) / Math.max(1, coverage.bytes);
  const lines = [
    `${report.target}: seed ${report.seed}, ${inputs} inputs in ${seconds.toFixed(1)} s, ${(inputs / seconds).toFixed(0)} a second, ${again} of them again`,
    `  coverage ${percent.toFixed(1)}% of ${coverage.bytes} bytes in ${coverage.files} files, corpus ${report.corpus}`,
    `  slowest input ${slowest.cpuMs.toFixed(1)} ms of processor time, ${slowest.elapsedMs.toFixed(1)} ms passed`,
    `  heap ${report.heapMib.toFixed(0)} MiB at the end, process at most ${report.peakMib.toFixed(0)} MiB`,
    `  ${report.findings.length} findings`,
    ...report.findings.map(({ problem, input }) => `\n${problem}\n  input ${input}`),
  ];
  return lines.join("\n");
}
