import type { Json } from "../objects/types.ts";
import type { NodeStore, SealedMasterKey } from "./types.ts";

/** One query on a connection of our own. */
type Query = NodeStore["query"];

/** What is this node's own and never replicates: values by name, and its sealed master keys. */
export class LocalValues implements Pick<NodeStore, "setting" | "setSetting" | "masterKeys" | "saveMasterKeys"> {
  readonly #query: Query;

  constructor(query: Query) {
    this.#query = query;
  }

  async setting(key: string): Promise<Json | undefined> {
    const [row] = await this.#query("select value from keyfleet.settings where key = $1", [key]);
    return row?.value as Json | undefined;
  }

  async setSetting(key: string, value: Json): Promise<void> {
    const text = "insert into keyfleet.settings values ($1, $2) on conflict (key) do update set value = excluded.value";
    await this.#query(text, [key, JSON.stringify(value)]);
  }

  async masterKeys(): Promise<readonly SealedMasterKey[]> {
    const rows = await this.#query("select version, sealed from keyfleet.master_keys order by version");
    return rows as unknown as readonly SealedMasterKey[];
  }

  async saveMasterKeys(rows: readonly SealedMasterKey[]): Promise<void> {
    await this.#query(
      `insert into keyfleet.master_keys select * from unnest($1::integer[], $2::bytea[])
       on conflict (version) do update set sealed = excluded.sealed`,
      [rows.map(({ version }) => version), rows.map(({ sealed }) => sealed)],
    );
  }
}
