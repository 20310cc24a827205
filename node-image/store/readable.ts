import { asStoreError } from "./connection.ts";

/** Rows that could be read, and the identifiers of those that lie on damaged pages. */
export interface Readable<Row> {
  readonly rows: readonly Row[];
  readonly unreadable: readonly string[];
}

/** A damaged page fails the whole query: what was asked for is asked for in halves, so that only what lies on it is not read. */
export async function readable<Row>(
  ids: readonly string[],
  read: (ids: readonly string[]) => Promise<readonly Row[]>,
): Promise<Readable<Row>> {
  try {
    return { rows: await read(ids), unreadable: [] };
  } catch (error) {
    if (asStoreError(error).code !== "damaged") throw error;
    if (ids.length <= 1) return { rows: [], unreadable: ids };
    const middle = Math.floor(ids.length / 2);
    const one = await readable(ids.slice(0, middle), read);
    const other = await readable(ids.slice(middle), read);
    return { rows: [...one.rows, ...other.rows], unreadable: [...one.unreadable, ...other.unreadable] };
  }
}
