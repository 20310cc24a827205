import type pg from "pg";
import type { Keyring } from "../keys/types.ts";
import { arrayOf } from "./array-parameter.ts";
import type { State } from "./law.ts";
import type { Committed, Known } from "./merge.ts";
import { readable } from "./readable.ts";
import type { Root } from "./root.ts";
import { leafOf, stateOf } from "./row.ts";
import { decodeState } from "./state.ts";
import type { Operation } from "./types.ts";

/** Objects kept in memory, about 2 kB each; beyond it the one unused for longest is read again when it is needed. */
const rowsMax = 4_000;

/** Transactions after one that had to be made again: of many that would have to, one in so many is. */
const looksAfterOne = 20;

/** A row that was checked, as text: of most nothing more is asked, and V8 copies and marks a text at once, but a tree piece by piece. */
interface Kept {
  readonly text: string;
  readonly mac: Buffer;
  readonly leaf: Buffer;
}

/** What the one writer knows of the rows that it merges into; nobody else changes them. */
export class KnownRows {
  readonly #rows = new Map<string, Kept>();
  /** Transactions before which creates are looked for. */
  #looks = 0;

  /** What is created here first and not known: identifiers are random, so that next to never a row is there, and looking costs a round trip. */
  presumedNew(operations: readonly Operation[]): ReadonlySet<string> {
    if (this.#looks > 0) {
      this.#looks -= 1;
      return new Set();
    }
    const firstKinds = new Map<string, string>();
    for (const { object, kind } of operations) if (!firstKinds.has(object)) firstKinds.set(object, kind);
    return new Set([...firstKinds].flatMap(([id, kind]) => (kind === "create" && !this.#rows.has(id) ? id : [])));
  }

  /** One was there: so may those of the next transactions be, since rows of a snapshot are newer than the logs that come with it. */
  wasThere(): void {
    this.#looks = looksAfterOne;
  }

  /** Reads what is not known yet. Absent objects are in neither result; damaged ones are never merged into. */
  async load(
    client: pg.Client,
    trust: { readonly keyring: Keyring; readonly root: Root },
    ids: ReadonlySet<string>,
  ): Promise<{ readonly known: ReadonlyMap<string, Known>; readonly damaged: ReadonlySet<string> }> {
    const known = new Map<string, Known>();
    const damaged = new Set<string>();
    for (const id of ids) {
      const row = this.#rows.get(id);
      if (row !== undefined) known.set(id, { state: decodeState(row.text) as State, mac: row.mac, leaf: row.leaf });
    }
    const missing = [...ids].filter((id) => !known.has(id));
    if (missing.length === 0) return { known, damaged };
    const text = "select id, state, mac from keyfleet.objects where id = any($1::uuid[])";
    const { rows, unreadable } = await readable(
      missing,
      async (some) => (await client.query({ name: "rows", text, values: [arrayOf.uuids(some)] })).rows,
    );
    for (const id of unreadable) damaged.add(id);
    for (const row of rows) {
      try {
        known.set(row.id, { state: stateOf(trust.keyring, row), mac: row.mac, leaf: leafOf(trust.root, row) });
      } catch (error) {
        if ((error as { code?: unknown }).code !== "damaged") throw error;
        damaged.add(row.id);
      }
    }
    return { known, damaged };
  }

  /** Takes over what was committed. */
  wrote(changed: readonly Committed[]): void {
    for (const { row, leaf } of changed) {
      this.#rows.delete(row.id);
      this.#rows.set(row.id, { text: row.state, mac: row.mac, leaf });
    }
    for (const id of this.#rows.keys()) {
      if (this.#rows.size <= rowsMax) return;
      this.#rows.delete(id);
    }
  }

  /** After a failure nothing is certain. */
  forget(): void {
    this.#rows.clear();
  }
}
