import type pg from "pg";
import { bytesHere, forgetAside, joinAside, setAside, takeBack } from "./aside.ts";
import { rowColumns } from "./commit-batch.ts";
import { emptying } from "./connection.ts";
import type { DiskRoom } from "./disk-room.ts";
import { StoreError } from "./error.ts";
import { encodeHeads, type Head } from "./head.ts";
import type { Importing } from "./importing.ts";
import { isDestroyed } from "./law.ts";
import type { Ledger, Prepared } from "./ledger.ts";
import type { Changed } from "./merge.ts";
import { verified } from "./operation.ts";
import { Root } from "./root.ts";
import { checkMaterial, leafOf, type Row, stateOf } from "./row.ts";
import { slices } from "./slices.ts";
import type { Operation, Vector } from "./types.ts";

/** What a node says of its whole store at one moment: how far each log goes, and the root that is bound to just that. */
export interface StoreMark {
  readonly root: Buffer;
  readonly heads: readonly Head[];
}

/** One object of a snapshot. */
export interface SnapshotRow extends Row {
  readonly sealed: Buffer | undefined;
}

/** Objects that a member has written, ready to be taken behind that one; not empty. */
export interface CheckedRows {
  readonly after: string;
  readonly last: string;
  readonly prepared: Prepared;
}

/** Runs work on the writer's connection while nothing else is written. */
export type Alone = <Result>(work: (client: pg.Client) => Promise<Result>) => Promise<Result>;

const keptMax = 10_000;

/**
 * Takes in another node's state instead of its log. The rows may be of different moments, since merging is idempotent: each
 * holds at least what `heads` of the beginning say, and the log from there on completes them. Nothing is served before the
 * root of the other node, for the very vector that is reached, equals this node's: then no row was left out or made up.
 */
export class Intake {
  readonly #ledger: Ledger;
  readonly #alone: Alone;
  readonly #room: Pick<DiskRoom, "mustHold">;

  constructor(ledger: Ledger, alone: Alone, room: Pick<DiskRoom, "mustHold">) {
    this.#ledger = ledger;
    this.#alone = alone;
    this.#room = room;
  }

  /** Whether a member of this fleet has made the operation as it is. Throws StoreError "noMasterKey" or "damaged". */
  isMade(operation: Operation): boolean {
    return verified(this.#ledger.keyring, operation);
  }

  /** Whether a member of this fleet has stood where the mark says. Throws StoreError as `isMade`. */
  isProved(mark: StoreMark): boolean {
    const { keyring } = this.#ledger;
    try {
      Root.open(keyring, mark.root, vectorOf(mark));
      return true;
    } catch (error) {
      if ((error as { code?: unknown }).code === "damaged") return false;
      throw error;
    }
  }

  /** What is under way; undefined when nothing is. */
  get importing(): Importing | undefined {
    return this.#ledger.importing;
  }

  /**
   * Sets aside what this node holds and begins with another's. StoreError "unavailable" when earlier software has thrown away
   * more than that holds.
   */
  begin(identity: string, mark: StoreMark): Promise<void> {
    return this.#alone(async (client) => {
      const ledger = this.#ledger;
      const vector = vectorOf(mark);
      // The root vouches for the sequences only, and every later write here would be stamped behind these.
      if (mark.heads.some(({ hlc }) => ledger.refuses(hlc))) throw refused("its logs end too far in the future");
      // What came with an earlier snapshot that was not finished is not this node's.
      const floor = ledger.importing?.floor ?? ledger.vector;
      const lacking = [...floor].find(([origin, seq]) => (vector.get(origin) ?? 0) < seq);
      // It may be behind for a moment only, and has said nothing wrong.
      if (lacking !== undefined && ledger.importing?.aside === false)
        throw new StoreError("unavailable", `the peer does not hold all that this node holds of ${lacking[0]}`);
      const root = openOf(ledger, mark).copy("empty");
      if (ledger.importing === undefined) this.#room.mustHold(await bytesHere(client));
      await within(client, async () => {
        const isAside = ledger.importing?.aside ?? true;
        if (ledger.importing === undefined) await setAside(client);
        await client.query(emptying(["ops", "kept", "objects", "bases", "import"].map((table) => `keyfleet.${table}`)));
        const text = "insert into keyfleet.import (identity, heads, floor, aside) values ($1, $2, $3, $4)";
        const before = JSON.stringify(Object.fromEntries(floor));
        await client.query(text, [identity, encodeHeads(mark.heads), before, isAside]);
        await writeRoot(client, ledger, { root, vector: new Map() });
      });
      await ledger.read(client);
      await ledger.trust(client, ledger.keyring);
    });
  }

  /**
   * Checks objects to be taken, while those before them may still be written: in slices, between which that goes on. Rejects
   * with StoreError "invalid" when one is not authentic.
   */
  async checked(rows: readonly SnapshotRow[], after: string): Promise<CheckedRows> {
    const ledger = this.#ledger;
    const fresh: Changed[] = [];
    const leaves: Buffer[] = [];
    for await (const slice of slices(rows))
      for (const row of slice) {
        const { state, sealed } = checked(ledger, row);
        fresh.push({ row, state, before: undefined, material: isDestroyed(state) ? null : (sealed ?? null) });
        leaves.push(leafOf(ledger.root, row));
      }
    return { after, last: rows.at(-1)?.id ?? "", prepared: { leaves, columns: rowColumns(fresh) } };
  }

  /** Takes objects in the order of their identifiers. Rejects with StoreError "unavailable" when those before them are not in. */
  rows({ after, last, prepared }: CheckedRows): Promise<void> {
    return this.#alone(async (client) => {
      const ledger = this.#ledger;
      // A crash of PostgreSQL may have taken the page before.
      if (this.#underWay("rows").after !== after)
        throw new StoreError("unavailable", "objects before these are not here");
      this.#room.mustHold(0);
      try {
        await within(client, async () => {
          // Whoever crashes here goes on where the disk is; the end of the import waits for the disk, and for all before it.
          await client.query("set local synchronous_commit = off");
          await ledger.insert(client, prepared);
          await client.query("update keyfleet.import set after = $1", [last]);
        });
        ledger.importedTo(last);
      } catch (error) {
        await ledger.read(client);
        await ledger.trust(client, ledger.keyring);
        throw error;
      }
    });
  }

  /** After the last row: what the other node keeps for later of the logs up to the beginning's heads. */
  rowsDone(kept: readonly Operation[]): Promise<void> {
    return this.#alone(async (client) => {
      const ledger = this.#ledger;
      const { heads } = this.#underWay("rows");
      const vector = vectorOf({ heads });
      const covered = kept.filter(({ origin, seq }) => seq <= (vector.get(origin) ?? 0));
      if (covered.length > keptMax) throw refused(`it keeps ${covered.length} operations that it does not understand`);
      const root = ledger.root.copy("here");
      for (const operation of covered) {
        if (!verified(ledger.keyring, operation)) throw refused("it sent an operation that no member has made");
        root.toggle(root.leaf("kept", operation.mac));
      }
      await within(client, async () => {
        await insertHeads(client, heads);
        await insertKept(client, covered);
        await client.query("update keyfleet.import set stage = 'tail'");
        await writeRoot(client, ledger, { root, vector });
      });
      await ledger.read(client);
      await ledger.trust(client, ledger.keyring);
    });
  }

  /**
   * When this node stands where the other stood and holds exactly what it held, joins into that what it held itself and the
   * other does not, and ends the import; else false.
   */
  confirm(mark: StoreMark): Promise<boolean> {
    return this.#alone(async (client) => {
      const ledger = this.#ledger;
      const { floor } = this.#underWay("tail");
      if (!sameVector(ledger.vector, vectorOf(mark)) || !openOf(ledger, mark).equals(ledger.root)) return false;
      const goesOn = [...floor].some(([origin, seq]) => seq > (ledger.vector.get(origin) ?? 0));
      await this.#changed(client, async () => {
        if (goesOn) await writeRoot(client, ledger, await joinAside(client, ledger, floor));
        await forgetAside(client);
        await client.query("delete from keyfleet.import");
      });
      return true;
    });
  }

  /** Gives up, and is again what this node was before; false when that was not set aside. */
  abandon(): Promise<boolean> {
    return this.#alone(async (client) => {
      if (this.#ledger.importing?.aside !== true) return false;
      await this.#changed(client, async () => {
        await takeBack(client);
        await client.query("delete from keyfleet.import");
      });
      return true;
    });
  }

  /** It may have been given up, or have ended, since it was asked for. */
  #underWay(stage: Importing["stage"]): Importing {
    const { importing } = this.#ledger;
    if (importing?.stage === stage) return importing;
    throw new StoreError("unavailable", "the snapshot that this belongs to is not taken in any more");
  }

  /** A transaction, after which what is known of the database is read anew, however it ended. */
  async #changed(client: pg.Client, work: () => Promise<void>): Promise<void> {
    const ledger = this.#ledger;
    const { keyring } = ledger;
    try {
      await within(client, work);
    } finally {
      await ledger.read(client);
      await ledger.trust(client, keyring);
    }
  }
}

/** Positions of a mark. */
export function vectorOf({ heads }: Pick<StoreMark, "heads">): Vector {
  return new Map(heads.map(({ origin, seq }) => [origin, seq]));
}

function openOf({ keyring }: Ledger, mark: StoreMark): Root {
  try {
    return Root.open(keyring, mark.root, vectorOf(mark));
  } catch (error) {
    if (error instanceof StoreError && error.code === "damaged") throw refused("its root is not of this fleet");
    throw error;
  }
}

function checked(
  { keyring }: Ledger,
  row: SnapshotRow,
): { state: ReturnType<typeof stateOf>; sealed: Buffer | undefined } {
  try {
    const state = stateOf(keyring, row);
    checkMaterial(row.id, state, row.sealed);
    return { state, sealed: row.sealed };
  } catch (error) {
    if (error instanceof StoreError && error.code === "damaged") throw refused(`it sent ${error.message}`);
    throw error;
  }
}

function refused(why: string): StoreError {
  return new StoreError("invalid", `the snapshot of this peer is not taken: ${why}`);
}

function sameVector(one: Vector, other: Vector): boolean {
  return one.size === other.size && [...one].every(([origin, seq]) => other.get(origin) === seq);
}

async function within(client: pg.Client, work: () => Promise<void>): Promise<void> {
  await client.query("begin");
  try {
    await work();
    await client.query("commit");
  } catch (error) {
    await client.query("rollback").catch(() => undefined);
    throw error;
  }
}

async function writeRoot(
  client: pg.Client,
  ledger: Ledger,
  { root, vector }: { readonly root: Root; readonly vector: Vector },
): Promise<void> {
  await client.query(
    "insert into keyfleet.root values (true, $1) on conflict (only_one) do update set sealed = excluded.sealed",
    [root.sealed(ledger.keyring, vector)],
  );
}

async function insertHeads(client: pg.Client, heads: readonly Head[]): Promise<void> {
  await client.query(
    "insert into keyfleet.bases select * from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bytea[])",
    [
      heads.map(({ origin }) => origin),
      heads.map(({ seq }) => seq),
      heads.map(({ hlc }) => hlc.toString()),
      heads.map(({ mac }) => mac),
    ],
  );
}

async function insertKept(client: pg.Client, kept: readonly Operation[]): Promise<void> {
  const column = (name: keyof Operation) => kept.map((operation) => operation[name]);
  await client.query(
    `insert into keyfleet.kept
       select * from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::uuid[], $6::bytea[], $7::bytea[])`,
    [
      column("origin"),
      column("seq"),
      kept.map(({ hlc }) => hlc.toString()),
      column("kind"),
      column("object"),
      column("payload"),
      column("mac"),
    ],
  );
}
