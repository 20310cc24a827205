import { crc32 } from "node:zlib";
import type { Keyring } from "../keys/types.ts";
import type { Change } from "../objects/types.ts";
import { LogicalClock } from "../store/clock.ts";
import { Draft, encode } from "../store/draft.ts";
import { StoreError } from "../store/error.ts";
import { Fences } from "../store/fences.ts";
import type { Ingested, NodeStore, Operation, Vector } from "../store/types.ts";
import type { Disk } from "./disk.ts";

/** Surroundings of one life of a key server: its timers end with it. */
export interface StoreParts {
  readonly disk: Disk;
  readonly after: (ms: number, work: () => void) => void;
  /** How long the next transaction takes, ms. */
  readonly commitMs: () => number;
  /** Wall clock, milliseconds since 1970, as wrong as it is on this node. */
  readonly wallMs: () => number;
  /** This node's own operations are durable; peers that listen are told. */
  readonly appended: (operations: readonly Operation[]) => void;
}

interface Entry {
  readonly prepare: (draft: Draft) => void;
  readonly done: (draft: Draft) => void;
  readonly failed: (error: Error) => void;
}

// Nothing is secret here; a checksum shows what would be shown by a real MAC.
const checksum = (message: Buffer) => {
  const mac = Buffer.alloc(4);
  mac.writeUInt32BE(crc32(message));
  return mac;
};
const keyring: Pick<Keyring, "mac" | "verifies"> = {
  mac: checksum,
  verifies: (message, mac) => checksum(message).equals(mac),
};

/** The store of the key server with its drafts, clock and group commit, on a simulated disk. Only what replication uses. */
export class SimulatedStore {
  readonly incarnation: string;
  readonly #parts: StoreParts;
  readonly #clock: LogicalClock;
  readonly #vector = new Map<string, number>();
  readonly #listeners: ((channel: string) => void)[] = [];
  readonly #fences: Fences;
  #gate: (head: number) => Promise<void> = async () => undefined;
  #queue: Entry[] = [];
  #flushing = false;
  #available = true;

  constructor(parts: StoreParts) {
    this.#parts = parts;
    this.incarnation = parts.disk.incarnation;
    this.#fences = new Fences({
      held: (origin) => (origin === this.incarnation ? 0 : (this.vector().get(origin) ?? 0)),
      keyring: () => keyring as Keyring,
      save: async (said) => {
        parts.disk.fences = said;
      },
    });
    this.#fences.restore(parts.disk.fences);
    this.#clock = new LogicalClock(parts.wallMs);
    this.#readPosition();
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

  setFences(fences: Vector): void {
    this.#fences.raise(fences);
  }

  takeFences(said: unknown): void {
    this.#fences.take(said);
  }

  setGate(gate: (head: number) => Promise<void>): void {
    this.#gate = gate;
  }

  onNotification(listener: (channel: string) => void): void {
    this.#listeners.push(listener);
  }

  vector(): Vector {
    return this.#vector;
  }

  heads(): ReturnType<NodeStore["heads"]> {
    const { disk } = this.#parts;
    const macOf = (origin: string, seq: number) => disk.log(origin)[seq - 1]?.mac ?? Buffer.alloc(0);
    return new Map([...this.#vector].map(([origin, seq]) => [origin, { seq, mac: macOf(origin, seq) }]));
  }

  async macAt(origin: string, seq: number): Promise<Buffer | undefined> {
    return this.#parts.disk.log(origin)[seq - 1]?.mac;
  }

  /** No disk of the simulation is ever set back. */
  async renew(): Promise<boolean> {
    throw new Error("a node of the simulation believes that its disk is an older one");
  }

  block(reason: string): void {
    throw new Error(reason);
  }

  /** Logs are simulated whole: nothing is pruned, so nobody needs a snapshot. */
  async prune(): Promise<number> {
    return 0;
  }

  readonly intake = { importing: undefined };

  /** Resolves with the head of this node's log once the sites that must hold it do. */
  async write(changes: readonly Change[]): Promise<number> {
    const encoded = encode(changes);
    let head = 0;
    await this.#enqueue((draft) => {
      draft.addLocal(encoded);
      head = draft.position(this.incarnation);
    });
    await this.#gate(head);
    return head;
  }

  async ingest(operations: readonly Operation[]): Promise<Ingested> {
    let outcome: Ingested = { outcome: "held", position: 0 };
    await this.#enqueue((draft) => {
      outcome = draft.addForeign(operations);
    });
    return outcome;
  }

  async query(text: string): Promise<readonly Record<string, unknown>[]> {
    if (!this.#available) throw unavailable();
    if (!text.includes("from mesh.positions")) return [];
    return [...this.#parts.disk.positions].map(([identity, { seq, at }]) => ({ identity, seq: `${seq}`, at: `${at}` }));
  }

  /** A notification of this node's PostgreSQL. */
  notify(channel: string): void {
    if (this.#available) this.#tell(channel);
  }

  #tell(channel: string): void {
    for (const listener of this.#listeners) listener(channel);
  }

  #readPosition(): void {
    this.#vector.clear();
    for (const [origin, seq] of this.#parts.disk.vector()) {
      this.#vector.set(origin, seq);
      this.#clock.follow(this.#parts.disk.log(origin).at(-1)?.hlc ?? 0n);
    }
  }

  #enqueue(prepare: (draft: Draft) => void): Promise<void> {
    if (!this.#available) return Promise.reject(unavailable());
    return new Promise((resolve, reject) => {
      this.#queue.push({ prepare, done: () => resolve(), failed: reject });
      this.#flush();
    });
  }

  /** Group commit: what is asked for while a transaction is in flight goes into the next one together. */
  #flush(): void {
    if (this.#flushing || this.#queue.length === 0) return;
    this.#flushing = true;
    const entries = this.#queue.splice(0);
    const { disk, after, commitMs, appended } = this.#parts;
    const draft = new Draft({
      incarnation: this.incarnation,
      keyring: keyring as Keyring,
      clock: this.#clock,
      fences: this.#fences.ends,
      vector: new Map(this.#vector),
    });
    for (const entry of entries) entry.prepare(draft);
    after(draft.operations.length === 0 ? 0 : commitMs(), () => {
      this.#flushing = false;
      if (!this.#available) {
        for (const entry of entries) entry.failed(unavailable());
        return;
      }
      disk.append(draft.operations);
      for (const [origin, seq] of draft.positions()) this.#vector.set(origin, seq);
      appended(draft.operations.filter(({ origin }) => origin === this.incarnation));
      for (const entry of entries) entry.done(draft);
      this.#flush();
    });
  }
}

function unavailable(): StoreError {
  return new StoreError("unavailable", "the simulated database is away");
}
