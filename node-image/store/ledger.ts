import { randomUUID } from "node:crypto";
import type pg from "pg";
import type { Keyring } from "../keys/types.ts";
import type { Json } from "../objects/types.ts";
import type { LogicalClock } from "./clock.ts";
import { commitBatch, keptColumns, rowColumns } from "./commit-batch.ts";
import { asStoreError, isCorruption, isThere } from "./connection.ts";
import { Draft } from "./draft.ts";
import { StoreError } from "./error.ts";
import { grantMark } from "./grant-reader.ts";
import { type Continued, continuedFrom, continuedWith, encodeContinued, holderOf, isProved, proved } from "./holder.ts";
import { type Importing, readImporting } from "./importing.ts";
import { KnownRows } from "./known-rows.ts";
import type { State } from "./law.ts";
import { type Changed, type Committed, Merge, summedUp } from "./merge.ts";
import { openRoot } from "./open-root.ts";
import { understands } from "./operation.ts";
import { operationsIn } from "./pages.ts";
import type { Root } from "./root.ts";
import type { Operation, Vector } from "./types.ts";

/** Operations kept for later that are merged in one transaction. */
const keptMax = 1_000;
/** Operations that are pruned in one turn of the writer, for each origin: some milliseconds. */
const pruneMax = 1_000;
/** Where earlier logs of this node are kept: see holder.ts. */
const continuedSetting = "continuedLogs";

/** An object's state, with the sealed material that its create brought. */
export interface Joined {
  readonly id: string;
  readonly state: State;
  readonly sealed: Buffer | null;
}

/** Rows of a snapshot, made ready while those before them are inserted. */
export interface Prepared {
  readonly leaves: readonly Buffer[];
  readonly columns: readonly Buffer[];
}

/** When this node's log is to be followed by one of a new name. */
export interface Renewal {
  /** Only when it still has this name, */
  readonly former: string;
  /** and goes no further than this. */
  readonly head: number;
  /** Whether it is known to have gone on elsewhere, or could not be asked for: then what this node holds it goes on to hold. */
  readonly why: "setBack" | "notAsked";
}

/** Options of `Ledger`. */
export interface LedgerOptions {
  readonly incarnation: string;
  readonly clock: LogicalClock;
  /** Objects whose rows are not what this node has written. */
  readonly damaged: (ids: ReadonlySet<string>) => void;
  readonly grants: GrantReadings;
}

/** Hears of each commit. */
export interface Follower {
  committed(rows: readonly Committed[]): void;
}

/** What is remembered of searches by grant, and must not outlive a change of one. */
export interface GrantReadings {
  touch(): void;
  release(): void;
}

/** What the one writer knows of the database, and how a draft becomes a transaction. */
export class Ledger {
  /** Ends of logs; grows while it is used. */
  fences: Vector = new Map();
  /** Whoever hears of all commits; nobody once rows were changed in another way, or may have been. */
  follower: Follower | undefined;
  readonly #options: LedgerOptions;
  readonly #rows = new KnownRows();
  #vector = new Map<string, number>();
  #macs = new Map<string, Buffer>();
  #incarnation: string;
  readonly #former = new Set<string>();
  /** The last name that was given to this node's log here; whether the database took it may not be known. */
  #given: string | undefined;
  #continued: Continued | undefined;
  #keyring: Keyring | undefined;
  #root: Root | undefined;
  #kept = 0;
  #importing: Importing | undefined;
  #problem: StoreError | undefined;
  /** What an audit has found; opening the root anew says nothing against it, since it does not look at the rows. */
  #found: StoreError | undefined;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#incarnation = options.incarnation;
  }

  /** Names this node's own log. */
  get incarnation(): string {
    return this.#incarnation;
  }

  /** Under which name this node holds rights. */
  get holder(): string {
    return holderOf(this.#continued, this.#incarnation, this.#vector);
  }

  /** How far this node's own log goes. */
  get end(): number {
    return this.#vector.get(this.#incarnation) ?? 0;
  }

  /** Begins a log of a new name, unless the present one has another name than `former` or goes beyond `head`. */
  async renew(client: pg.Client, { former, head, why }: Renewal): Promise<boolean> {
    if (this.#incarnation !== former || this.end > head) return false;
    const incarnation = randomUUID();
    this.#given = incarnation;
    const { end, holder } = this;
    const continued =
      why === "setBack"
        ? undefined
        : proved(this.keyring, continuedWith(this.#continued, { incarnation: former, end, holder }));
    await client.query(
      `with setting as (insert into keyfleet.settings values ($2, $3)
         on conflict (key) do update set value = excluded.value)
       update keyfleet.node_self set incarnation = $1`,
      [incarnation, continuedSetting, encodeContinued(continued)],
    );
    this.#former.add(holder);
    this.#continued = continued;
    this.#nowIs(incarnation);
    return true;
  }

  /**
   * The connection is a new one. When less is there of this node's own log than was durable before, or it has a name that
   * was not given here, the database was exchanged or changed while this process went on, and the log goes on elsewhere.
   */
  async reread(client: pg.Client): Promise<void> {
    const { incarnation } = this;
    const reach = this.#reach;
    await this.read(client);
    const isOther = this.#incarnation !== incarnation && this.#incarnation !== this.#given;
    const isShorter = this.#incarnation === incarnation && this.#reach < reach;
    if (!(isOther || isShorter)) return;
    await this.renew(client, { former: this.#incarnation, head: Number.MAX_SAFE_INTEGER, why: "setBack" });
  }

  /** How far the own log goes, with what a snapshot has set aside of it. */
  get #reach(): number {
    return Math.max(this.end, this.#importing?.floor.get(this.#incarnation) ?? 0);
  }

  /** Whether what a write says only this node may say was said in the name of an earlier log: then it must not be written. */
  isOfFormer(attributes: readonly string[]): boolean {
    const { holder } = this;
    return attributes.some((name) => {
      const of = name.slice(name.lastIndexOf(" ") + 1);
      return of !== holder && this.#former.has(of);
    });
  }

  #nowIs(incarnation: string): void {
    if (incarnation === this.#incarnation) return;
    this.#former.add(this.#incarnation);
    this.#incarnation = incarnation;
  }

  get vector(): Vector {
    return this.#vector;
  }

  /** MAC of the last operation of each origin: tells one log from another of the same name. */
  get macs(): ReadonlyMap<string, Buffer> {
    return this.#macs;
  }

  /** Operations that wait until they can be merged. */
  get kept(): number {
    return this.#kept;
  }

  /** Why nothing of the database can be trusted. */
  get problem(): StoreError | undefined {
    return this.#found ?? this.#problem;
  }

  /** Reads how far the log goes; always anew: what was in flight when the connection broke may or may not be there. */
  async read(client: pg.Client): Promise<void> {
    const { rows } = await client.query("select origin, seq, hlc, mac from keyfleet.vector");
    // A new name may have been given in a transaction whose end was not heard of.
    const self = await client.query(
      "select incarnation, (select value from keyfleet.settings where key = $1) as continued from keyfleet.node_self",
      [continuedSetting],
    );
    if (self.rows[0] !== undefined) this.#nowIs(self.rows[0].incarnation as string);
    this.#continued = continuedFrom(self.rows[0]?.continued as Json | undefined);
    for (const origin of [this.#continued?.holder ?? [], ...(this.#continued?.logs.keys() ?? [])].flat())
      this.#former.add(origin);
    this.#rows.forget();
    this.follower = undefined;
    this.#root = undefined;
    this.#vector = new Map(rows.map((row) => [row.origin as string, Number(row.seq)]));
    this.#macs = new Map(rows.map((row) => [row.origin as string, row.mac as Buffer]));
    for (const row of rows) this.#options.clock.follow(BigInt(row.hlc));
    this.#importing = await readImporting(client);
    const counted = await client.query("select count(*) as kept from keyfleet.kept");
    this.#kept = Number(counted.rows[0].kept);
  }

  /** Opens the root and merges what was kept and is understood now. A store that is not what was written is a `problem`. */
  async trust(client: pg.Client, keyring: Keyring): Promise<void> {
    this.#keyring = keyring;
    this.#problem = undefined;
    try {
      if (this.#continued !== undefined && !isProved(keyring, this.#continued)) this.#continued = undefined;
      this.#root = await openRoot(client, keyring, this.#vector);
      if (this.#found === undefined) await this.#mergeKept(client);
    } catch (error) {
      if (asStoreError(error).code === "noMasterKey") return;
      if (!(error instanceof StoreError) || error.code !== "damaged") throw error;
      this.#problem = error;
    }
  }

  /** Whether an operation of that time is not to be taken in yet. */
  refuses(hlc: bigint): boolean {
    return this.#options.clock.refuses(hlc);
  }

  /** With it rows are checked; throws StoreError "noMasterKey" or the `problem`. */
  get keyring(): Keyring {
    if (this.problem !== undefined) throw this.problem;
    if (this.#keyring === undefined) throw noMasterKey();
    return this.#keyring;
  }

  /** Sums up all rows; throws StoreError like `keyring`. */
  get root(): Root {
    if (this.#found !== undefined) throw this.#found;
    return this.toAudit.root;
  }

  /** Both for an audit, which also looks through what an earlier one has found not to be whole. */
  get toAudit(): { readonly keyring: Keyring; readonly root: Root } {
    if (this.#problem !== undefined) throw this.#problem;
    if (this.#keyring === undefined || this.#root === undefined) throw noMasterKey();
    return { keyring: this.#keyring, root: this.#root };
  }

  /** A snapshot that is being taken in: nothing is served meanwhile. */
  get importing(): Importing | undefined {
    return this.#importing;
  }

  /** The rows up to this identifier are in. */
  importedTo(id: string): void {
    if (this.#importing !== undefined) this.#importing = { ...this.#importing, after: id };
  }

  /** From now on nothing of the database is trusted, whatever happens but `rehabilitate`. */
  distrust(why: string): void {
    this.#found = new StoreError("damaged", why);
  }

  /** An audit has found all rows to be what was written. */
  async rehabilitate(client: pg.Client): Promise<void> {
    if (this.#found === undefined) return;
    this.#found = undefined;
    await this.trust(client, this.keyring);
  }

  draft(): Draft {
    const { incarnation } = this;
    const { clock } = this.#options;
    return new Draft({ incarnation, clock, keyring: this.keyring, fences: this.fences, vector: this.#vector });
  }

  /** Appends, merges and sums up in one transaction. What is created is presumed not to be there, until the database says otherwise. */
  async commit(client: pg.Client, draft: Draft): Promise<void> {
    if (draft.operations.length === 0 && draft.kept.length === 0) return;
    const presumedNew = this.#rows.presumedNew(draft.merging());
    try {
      await this.#commit(client, draft, presumedNew);
    } catch (error) {
      if (presumedNew.size === 0 || !(isThere(error) || isCorruption(error))) throw error;
      this.#rows.wasThere();
      await this.#commit(client, draft, new Set());
    }
  }

  async #commit(client: pg.Client, draft: Draft, presumedNew: ReadonlySet<string>): Promise<void> {
    const { keyring, root } = this;
    const { merged, changed } = await this.#merge(client, draft, { keyring, root, presumedNew });
    const vector = new Map([...this.#vector, ...draft.positions()]);
    const held = draft.kept.filter((operation) => merged.has(operation));
    const left = draft.operations.filter((operation) => !merged.has(operation));
    const next = root.copy("here");
    for (const { mac } of [...held, ...left]) next.toggle(next.leaf("kept", mac));
    const rows = summedUp(next, changed);
    const sealed = next.sealed(keyring, vector);
    const grants = changed.some(({ row }) => row.state.includes(grantMark)) ? this.#options.grants : undefined;
    grants?.touch();
    await commitBatch(client, [...draft.columns(merged), ...rowColumns(changed), ...keptColumns(held), sealed]).finally(
      () => grants?.release(),
    );
    this.#vector = vector;
    for (const { origin, mac } of draft.operations) this.#macs.set(origin, mac);
    this.#root = next;
    this.#kept += left.length - held.length;
    this.#rows.wrote(rows);
    this.follower?.committed(rows);
  }

  /** Inserts rows of a snapshot and sums them up; the caller has begun the transaction, and reads anew when it fails. */
  async insert(client: pg.Client, { leaves, columns }: Prepared): Promise<void> {
    this.follower = undefined;
    const next = this.root.copy("here");
    for (const leaf of leaves) next.toggle(leaf);
    const sealed = next.sealed(this.keyring, this.#vector);
    await commitBatch(client, [...this.draft().columns(new Set()), ...columns, ...keptColumns([]), sealed]);
    this.#root = next;
  }

  /** Joins states into the rows and sums them up; the caller has begun the transaction, and reads anew when it fails. */
  async join(client: pg.Client, states: readonly Joined[]): Promise<void> {
    this.follower = undefined;
    const { keyring, root } = this;
    const ids = new Set(states.map(({ id }) => id));
    const { known, damaged } = await this.#rows.load(client, { keyring, root }, ids);
    const [broken] = damaged;
    if (broken !== undefined) throw new StoreError("damaged", `object ${broken}: its row was changed in the database`);
    const merge = new Merge(known);
    for (const { id, state, sealed } of states) merge.join(id, state, sealed);
    const changed = merge.changed(keyring);
    const next = root.copy("here");
    const rows = summedUp(next, changed);
    const sealed = next.sealed(keyring, this.#vector);
    await commitBatch(client, [...this.draft().columns(new Set()), ...rowColumns(changed), ...keptColumns([]), sealed]);
    this.#root = next;
    this.#rows.wrote(rows);
  }

  /** Takes what everybody holds and is older than `beforeHlc` from the beginning of the logs; returns how many operations. */
  async prune(client: pg.Client, common: Vector, beforeHlc: bigint): Promise<number> {
    const origins = [...common.keys()];
    const text = `select coalesce(sum(keyfleet.prune(origin, seq, $3, $4)), 0)::integer as pruned
      from unnest($1::uuid[], $2::bigint[]) as c (origin, seq)`;
    const upTo = origins.map((origin) => Math.min(common.get(origin) ?? 0, this.#vector.get(origin) ?? 0));
    const { rows } = await client.query(text, [origins, upTo, beforeHlc.toString(), pruneMax]);
    return rows[0].pruned;
  }

  /** After a failed commit nothing that is remembered is certain. */
  forget(): void {
    this.#rows.forget();
  }

  async #merge(
    client: pg.Client,
    draft: Draft,
    trust: { readonly keyring: Keyring; readonly root: Root; readonly presumedNew: ReadonlySet<string> },
  ): Promise<{ readonly merged: ReadonlySet<Operation>; readonly changed: readonly Changed[] }> {
    const merging = draft.merging();
    const ids = new Set(merging.map(({ object }) => object).filter((id) => !trust.presumedNew.has(id)));
    const { known, damaged } = await this.#rows.load(client, trust, ids);
    if (damaged.size > 0) this.#options.damaged(damaged);
    // What concerns a damaged row is kept, so that the rest goes on.
    const merged = merging.filter(({ object }) => !damaged.has(object));
    const merge = new Merge(known);
    for (const operation of merged) merge.add(operation, draft.changeOf(operation));
    return { merged: new Set(merged), changed: merge.changed(trust.keyring) };
  }

  async #mergeKept(client: pg.Client): Promise<void> {
    for await (const operations of operationsIn(client, "keyfleet.kept", keptMax)) {
      const draft = this.draft();
      const known = operations.filter(understands);
      if (!draft.addKept(known)) throw new StoreError("damaged", "an operation in the database is not as it was made");
      await this.commit(client, draft);
    }
  }
}

function noMasterKey(): StoreError {
  return new StoreError("noMasterKey", "this node has no master key yet; use another node until it has joined");
}
