import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Bytes that this process keeps: of its heap, and of buffers beside it. */
export function memoryUse(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Waits until no more than so many bytes are kept beyond those of before, or for long; those that still are. */
export async function keptSince(before: number, most: number): Promise<number> {
  // What is free is swept by a thread, which has to have its turn.
  for (let turn = 0; turn < 50 && memoryUse() - before > most; turn++) await new Promise(setImmediate);
  return memoryUse() - before;
}
