import type { Change } from "../objects/types.ts";
import { LogicalClock } from "../store/clock.ts";
import { Draft, encode } from "../store/draft.ts";
import { StoreError } from "../store/error.ts";
import { Fences } from "../store/fences.ts";
import type { Renewal } from "../store/ledger.ts";
import type { Ingested, NodeStore, Operation, Vector, WriteGate } from "../store/types.ts";
import { takingIn } from "../store/writer.ts";
import { keyring } from "./checksum.ts";
import type { Disk } from "./disk.ts";
import { SimulatedIntake } from "./simulated-intake.ts";

/** Surroundings of one life of a key server: its timers end with it. */
export interface StoreParts {
  readonly disk: Disk;
  readonly after: (ms: number, work: () => void) => void;
  /** How long the next transaction takes, ms. */
  readonly commitMs: () => number;
  /** Wall clock, milliseconds since 1970, as wrong as it is on this node. */
  readonly wallMs: () => number;
  readonly steadyMs: () => number;
  /** Operations are durable, this node's own and others'. */
  readonly appended: (operations: readonly Operation[]) => void;
  /** Gives the disk's own log a new name. */
  readonly renew: () => void;
  /** The disk is new. */
  readonly begins: boolean;
}

interface Entry {
  prepare?(draft: Draft): void;
  /** Work in a turn of its own, instead of `prepare`. */
  alone?(): void;
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

/** The store of the key server with its drafts, clock and group commit, on a simulated disk. Only what replication uses. */
export class SimulatedStore {
  readonly clock: LogicalClock;
  readonly intake: SimulatedIntake;
  /** Nobody changes a name on these disks. */
  readonly ownName: NodeStore["ownName"] = { isProved: async () => true, prove: async () => undefined };
  readonly #parts: StoreParts;
  readonly #vector = new Map<string, number>();
  readonly #listeners: ((channel: string) => void)[] = [];
  readonly #fences: Fences;
  #gate: WriteGate | undefined;
  #opening: () => Promise<void> = async () => undefined;
  #ownEndKnown: boolean;
  #queue: Entry[] = [];
  #flushing = false;
  #available = true;
  #blocked: string | undefined;

  constructor(parts: StoreParts) {
    this.#parts = parts;
    this.#ownEndKnown = parts.begins;
    this.intake = new SimulatedIntake({
      disk: parts.disk,
      alone: (work) => this.#alone(work),
      refuses: (hlc) => this.clock.refuses(hlc),
    });
    this.#fences = new Fences({
      keyring: () => keyring,
      held: (origin) => (origin === this.incarnation ? 0 : this.#held(origin)),
      save: async (said) => {
        parts.disk.fences = said;
      },
    });
    this.#fences.restore(parts.disk.fences, keyring);
    this.clock = new LogicalClock(parts.wallMs, parts.steadyMs);
    this.#readPosition();
  }

  get incarnation(): string {
    return this.#parts.disk.incarnation;
  }

  /** Why it writes nothing: its log has forked. */
  get blocked(): string | undefined {
    return this.#blocked;
  }

  /** PostgreSQL is away: everything that waits fails, and whether it was done is not known. */
  databaseLost(): void {
    this.#available = false;
    for (const entry of this.#queue.splice(0)) entry.failed(unavailable());
  }

  databaseBack(): void {
    this.#readPosition();
    this.#available = true;
    this.#tell("connected");
  }

  /** Nobody steals certificates here. */
  pass(): undefined {}

  setFences(fences: Vector): void {
    this.#fences.raise(fences);
  }

  takeFences(said: unknown): boolean {
    return this.#fences.take(said);
  }

  setGate(gate: WriteGate | undefined): void {
    this.#gate = gate;
  }

  onNotification(listener: (channel: string) => void): () => void {
    this.#listeners.push(listener);
    return () => this.#listeners.splice(this.#listeners.indexOf(listener), 1);
  }

  vector(): Vector {
    return this.#vector;
  }

  head(origin: string): ReturnType<NodeStore["head"]> {
    const seq = this.#vector.get(origin);
    return seq === undefined ? undefined : { seq, mac: this.#parts.disk.head(origin)?.mac ?? Buffer.alloc(0) };
  }

  async macAt(origin: string, seq: number): Promise<Buffer | undefined> {
    const { disk } = this.#parts;
    const head = disk.head(origin);
    return head?.seq === seq ? head.mac : disk.log(origin).find((operation) => operation.seq === seq)?.mac;
  }

  get ownEndKnown(): boolean {
    return this.#ownEndKnown;
  }

  setOwnEndKnown(): void {
    this.#ownEndKnown = true;
  }

  setOpening(opening: () => Promise<void>): void {
    this.#opening = opening;
  }

  async renew({ former, head }: Renewal): Promise<boolean> {
    const renewed = await this.#alone(() => {
      if (this.incarnation !== former || (this.#vector.get(this.incarnation) ?? 0) > head) return false;
      this.#parts.renew();
      return true;
    });
    this.#ownEndKnown ||= renewed;
    return renewed;
  }

  block(reason: string): void {
    this.#blocked = reason;
  }

  async prune(common: Vector, olderThanMs: number): Promise<number> {
    const { disk, wallMs } = this.#parts;
    if (this.intake.importing !== undefined) return 0;
    const beforeHlc = BigInt(Math.floor(wallMs() - olderThanMs)) << 16n;
    const upTo = (origin: string, seq: number) => Math.min(seq, this.#vector.get(origin) ?? 0);
    const pruned = () => [...common].map(([origin, seq]) => disk.prune(origin, { upTo: upTo(origin, seq), beforeHlc }));
    return this.#alone(() => pruned().reduce((sum, count) => sum + count, 0));
  }

  /** Resolves with the head of this node's log once the sites that must hold it do. */
  async write(changes: readonly Change[]): Promise<number> {
    this.#mustBeWhole();
    if (this.#blocked !== undefined) throw new StoreError("unavailable", this.#blocked);
    if (!this.#ownEndKnown) await this.#opening();
    const encoded = encode(changes);
    let head = 0;
    let problem: StoreError | undefined;
    await this.#enqueue({
      prepare: (draft) => {
        problem = this.#importing();
        if (problem === undefined) draft.addLocal(encoded);
        head = draft.position(this.incarnation);
      },
    });
    if (problem !== undefined) throw problem;
    await this.#gate?.wait(head);
    return head;
  }

  async ingest(operations: readonly Operation[], options: { readonly importing?: true } = {}): Promise<Ingested> {
    if (options.importing !== true) this.#mustBeWhole();
    let outcome: Ingested = { outcome: "held", position: 0 };
    let problem: StoreError | undefined;
    await this.#enqueue({
      prepare: (draft) => {
        problem = options.importing ? undefined : this.#importing();
        if (problem === undefined) outcome = draft.addForeign(operations);
      },
    });
    if (problem !== undefined) throw problem;
    return outcome;
  }

  settled(): Promise<void> {
    return this.#enqueue({});
  }

  /** The queries of replication on the tables of the mesh. */
  async query(text: string, values: readonly unknown[] = []): Promise<readonly Record<string, unknown>[]> {
    if (!this.#available) throw unavailable();
    const { disk, wallMs } = this.#parts;
    // Asked for most often.
    if (text.includes("from mesh.positions") || text.includes("keyfleet.heard(")) return this.#acknowledged(values[0]);
    if (text.includes("insert into keyfleet.members")) {
      const [identities, vectors, heard] = values as [string[], string[], boolean[]];
      for (const [at, identity] of identities.entries())
        if (heard[at] || !disk.members.has(identity))
          disk.members.set(identity, { vector: JSON.parse(vectors[at] as string), heardMs: wallMs() });
      return [];
    }
    if (text.includes("from keyfleet.members"))
      return [...disk.members].map(([identity, member]) => {
        return { identity, vector: member.vector, silent: wallMs() - member.heardMs };
      });
    return [];
  }

  #acknowledged(ofOrigin: unknown): readonly Record<string, unknown>[] {
    const rows: Record<string, unknown>[] = [];
    for (const [identity, { origin, seq, at, open }] of this.#parts.disk.positions)
      if (origin === ofOrigin) rows.push({ identity, seq: `${seq}`, at: `${at}`, open });
    return rows;
  }

  /** A notification of this node's PostgreSQL. */
  notify(channel: string): void {
    if (this.#available) this.#tell(channel);
  }

  #tell(channel: string): void {
    for (const listener of this.#listeners) listener(channel);
  }

  #held(origin: string): number {
    return Math.max(this.#vector.get(origin) ?? 0, this.intake.importing?.floor.get(origin) ?? 0);
  }

  #mustBeWhole(): void {
    const problem = this.#importing();
    if (problem !== undefined) throw problem;
  }

  #importing(): StoreError | undefined {
    return this.intake.importing === undefined ? undefined : takingIn();
  }

  #readPosition(): void {
    const { disk } = this.#parts;
    this.#vector.clear();
    for (const [origin, seq] of disk.vector()) {
      this.#vector.set(origin, seq);
      this.clock.follow(disk.head(origin)?.hlc ?? 0n);
    }
  }

  /** A transaction while nothing else is written; afterwards the position is read anew. */
  async #alone<Result>(work: () => Result): Promise<Result> {
    let result: { readonly value: Result } | undefined;
    let problem: unknown;
    await this.#enqueue({
      alone: () => {
        try {
          result = { value: work() };
        } catch (error) {
          problem = error;
        }
        this.#readPosition();
      },
    });
    if (result === undefined) throw problem;
    return result.value;
  }

  #enqueue(entry: Pick<Entry, "prepare" | "alone">): Promise<void> {
    if (!this.#available) return Promise.reject(unavailable());
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...entry, done: resolve, failed: reject });
      this.#flush();
    });
  }

  /** Group commit: what is asked for while a transaction is in flight goes into the next one together. */
  #flush(): void {
    if (this.#flushing || this.#queue.length === 0) return;
    this.#flushing = true;
    const [first] = this.#queue;
    const end = this.#queue.findIndex(({ alone }, at) => at > 0 && (alone ?? first?.alone) !== undefined);
    const entries = this.#queue.splice(0, end < 0 ? this.#queue.length : end);
    const { after, commitMs } = this.#parts;
    const draft = this.#draft();
    for (const entry of entries) entry.prepare?.(draft);
    const writes = draft.operations.length > 0 || first?.alone !== undefined;
    after(writes ? commitMs() : 0, () => {
      this.#flushing = false;
      if (!this.#available) {
        for (const entry of entries) entry.failed(unavailable());
        return;
      }
      this.#commit(entries, draft);
      this.#flush();
    });
  }

  #draft(): Draft {
    return new Draft({
      incarnation: this.incarnation,
      keyring,
      clock: this.clock,
      fences: this.#fences.ends,
      vector: this.#vector,
    });
  }

  #commit(entries: readonly Entry[], draft: Draft): void {
    const { disk, appended } = this.#parts;
    entries[0]?.alone?.();
    disk.append(draft.operations);
    for (const [origin, seq] of draft.positions()) this.#vector.set(origin, seq);
    if (draft.operations.length > 0) appended(draft.operations);
    for (const entry of entries) entry.done();
  }
}

function unavailable(): StoreError {
  return new StoreError("unavailable", "the simulated database is away");
}
