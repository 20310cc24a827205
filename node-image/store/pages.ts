import type pg from "pg";
import { asOperation } from "./operation.ts";
import type { Operation } from "./types.ts";

/** Read at once, beside one row of any size: one may have 1 MiB, and comes as a text of twice that. */
export const pageMaxBytes = 4 * 1024 * 1024;

/** Before each identifier of an object, and each origin. */
export const beforeAll = "00000000-0000-0000-0000-000000000000";

/** The next objects of a table in the order of their identifiers, behind one: so many at most, and as memory is good for. */
export function objectsBehind(table: string, behind: readonly [id: string], rowsMax: number): pg.QueryConfig {
  const size = "octet_length(r.state) + coalesce(octet_length(r.sealed), 0)";
  return page({ table, keys: ["id uuid"], size, behind, rowsMax });
}

/** All operations of a table in the order of origin and sequence, so many at once, and as memory is good for. */
export async function* operationsIn(
  client: pg.Client,
  table: string,
  rowsMax: number,
): AsyncGenerator<readonly Operation[]> {
  const keys = ["origin uuid", "seq bigint"];
  const size = "octet_length(r.payload)";
  for (let behind: readonly [origin: string, seq: number] = [beforeAll, 0]; ; ) {
    const { rows } = await client.query(page({ table, keys, size, behind, rowsMax }));
    const operations = rows.map(({ place: _place, bytes: _bytes, ...row }) => asOperation(row));
    const last = operations.at(-1);
    if (last === undefined) return;
    yield operations;
    behind = [last.origin, last.seq];
  }
}

function page(of: {
  readonly table: string;
  /** Each with its type. */
  readonly keys: readonly string[];
  readonly size: string;
  readonly behind: readonly unknown[];
  readonly rowsMax: number;
}): pg.QueryConfig {
  const names = of.keys.map((key) => key.split(" ")[0]);
  const places = of.keys.map((key, at) => `$${at + 1}::${key.split(" ")[1]}`);
  const order = names.join();
  const text = `select * from (
      select r.*, row_number() over (order by ${order}) as place, sum(${of.size}) over (order by ${order}) as bytes
      from (select * from ${of.table} where (${order}) > (${places}) order by ${order} limit ${of.rowsMax}) r
    ) p where p.bytes <= ${pageMaxBytes} or p.place = 1 order by ${order}`;
  return { name: `page of ${of.table} ${of.rowsMax}`, text, values: [...of.behind] };
}
