import type pg from "pg";
import type { Keyring } from "../keys/types.ts";
import { StoreError } from "./error.ts";
import { Root } from "./root.ts";
import type { Vector } from "./types.ts";

/**
 * The root of the database at this vector. Only a store in which nothing is merged yet may be without: new, or to be merged
 * anew from its whole log. Throws StoreError "damaged".
 */
export async function openRoot(client: pg.Client, keyring: Keyring, vector: Vector): Promise<Root> {
  const { rows } = await client.query("select sealed from keyfleet.root");
  if (rows[0] !== undefined) return Root.open(keyring, rows[0].sealed, vector);
  const { rows: unmerged } = await client.query(
    `select not exists (select from keyfleet.objects)
       and (select count(*) from keyfleet.ops) = (select count(*) from keyfleet.kept) as whole`,
  );
  if (unmerged[0].whole !== true) throw new StoreError("damaged", "the root of the database is missing");
  const root = Root.fresh();
  await eachKeptMac(client, (mac) => root.toggle(root.leaf("kept", mac)));
  return root;
}

async function eachKeptMac(client: pg.Client, take: (mac: Buffer) => void): Promise<void> {
  let after = { origin: "00000000-0000-0000-0000-000000000000", seq: "0" };
  for (;;) {
    const { rows } = await client.query(
      `select origin, seq, mac from keyfleet.kept where (origin, seq) > ($1::uuid, $2::bigint)
       order by origin, seq limit 10000`,
      [after.origin, after.seq],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    for (const row of rows) take(row.mac);
    after = last;
  }
}
