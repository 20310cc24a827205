import type pg from "pg";
import { understands } from "./operation.ts";
import type { Operation } from "./types.ts";

const pageSize = 1_000;

/** Applies what an earlier version of this software kept without understanding it; returns how many are still not understood. */
export async function applyUnderstood(pool: pg.Pool): Promise<number> {
  let left = 0;
  let after = { origin: "00000000-0000-0000-0000-000000000000", seq: "0" };
  for (;;) {
    const { rows } = await pool.query(
      `select o.* from keyfleet.unapplied u join keyfleet.ops o using (origin, seq)
       where (u.origin, u.seq) > ($1::uuid, $2::bigint) order by u.origin, u.seq limit ${pageSize}`,
      [after.origin, after.seq],
    );
    const last = rows.at(-1);
    if (last === undefined) return left;
    const known = rows.filter((row) => understands(row as Operation));
    left += rows.length - known.length;
    if (known.length > 0) await apply(pool, known);
    after = { origin: last.origin, seq: last.seq };
  }
}

/** One statement, so merging and forgetting happen together or not at all. */
async function apply(pool: pg.Pool, rows: readonly Record<string, unknown>[]): Promise<void> {
  const column = (name: string) => rows.map((row) => row[name]);
  await pool.query(
    `with forgotten as (
       delete from keyfleet.unapplied u using unnest($1::uuid[], $6::bigint[]) as k (origin, seq)
       where u.origin = k.origin and u.seq = k.seq
     ) select keyfleet.merge($1::uuid[], $2::bigint[], $3::text[], $4::uuid[], $5::bytea[])`,
    ["origin", "hlc", "kind", "object", "payload", "seq"].map(column),
  );
}
