import type pg from "pg";
import { arrayOf } from "./array-parameter.ts";
import type { Changed } from "./merge.ts";
import type { Operation } from "./types.ts";

/** Runs keyfleet.commit_batch, one transaction of the one writer. */
export async function commitBatch(client: pg.Client, values: readonly Buffer[]): Promise<void> {
  const places = values.map((_, index) => `$${index + 1}`).join();
  await client.query({ name: "commit", text: `select keyfleet.commit_batch(${places})`, values: [...values] });
}

/** Arguments of keyfleet.write_rows. */
export function rowColumns(changed: readonly Changed[]): Buffer[] {
  return [
    arrayOf.uuids(changed.map(({ row }) => row.id)),
    arrayOf.booleans(changed.map(({ before }) => before === undefined)),
    arrayOf.texts(changed.map(({ row }) => row.state)),
    arrayOf.byteas(changed.map(({ row }) => row.mac)),
    arrayOf.byteas(changed.map(({ material }) => (material === "keep" ? null : material))),
    arrayOf.booleans(changed.map(({ material }) => material === "keep")),
  ];
}

/** Arguments of keyfleet.commit_batch: what was kept for later and is merged now. */
export function keptColumns(held: readonly Operation[]): Buffer[] {
  return [arrayOf.uuids(held.map(({ origin }) => origin)), arrayOf.bigints(held.map(({ seq }) => seq))];
}
