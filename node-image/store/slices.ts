import { setImmediate as turn } from "node:timers/promises";

/** Rows that are checked at once, about a millisecond. */
const sliceSize = 20;

/** Rows some at a time, each time after a turn of the event loop, in which clients are served. */
export async function* slices<Row>(rows: readonly Row[]): AsyncGenerator<readonly Row[]> {
  for (let at = 0; at < rows.length; at += sliceSize) {
    await turn();
    yield rows.slice(at, at + sliceSize);
  }
}
