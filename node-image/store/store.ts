import { setTimeout as delay } from "node:timers/promises";
import type { Keyring } from "../keys/types.ts";
import type { Change, Description, Json, ManagedObject, ObjectFilter } from "../objects/types.ts";
import type { Audit } from "./audit.ts";
import { Audits } from "./audits.ts";
import { LogicalClock } from "./clock.ts";
import { asStoreError, type Place, placeOf, prepared } from "./connection.ts";
import { Damage } from "./damage.ts";
import { DiskRoom } from "./disk-room.ts";
import { Distrust } from "./distrust.ts";
import { StoreError } from "./error.ts";
import { Fences, fencesSetting } from "./fences.ts";
import { type Alone, Intake } from "./intake.ts";
import type { Renewal } from "./ledger.ts";
import { LocalValues } from "./local-values.ts";
import { migrate } from "./migrate.ts";
import { ObjectReader } from "./object-reader.ts";
import { OwnEnd } from "./own-end.ts";
import { OwnName } from "./own-name.ts";
import { passOf } from "./pass.ts";
import type { Found } from "./read.ts";
import { ReadPools } from "./read-pools.ts";
import { RemoteListeners } from "./remote-listeners.ts";
import { RunningAudit } from "./running-audit.ts";
import { Searches } from "./searches.ts";
import type {
  Ingested,
  NodeStore,
  Operation,
  SealedMasterKey,
  StoreOptions,
  StoreStatus,
  Vector,
  WriteGate,
} from "./types.ts";
import { takingIn, Writer } from "./writer.ts";

const retryMs = 200;
const channels = ["acks", "handover"] as const;

/** Opens the node's store; waits for PostgreSQL until the signal ends it. Without master key it knows this node alone, no objects. */
export async function openStore(options: StoreOptions): Promise<NodeStore> {
  const place = placeOf(options);
  for (;;) {
    options.signal?.throwIfAborted();
    const pools = new ReadPools(place);
    try {
      return await open(place, pools, options);
    } catch (error) {
      await pools.end().catch(() => undefined);
      if (asStoreError(error).code !== "unavailable") throw asStoreError(error);
      options.log({ level: "debug", event: "databaseAwaited", problem: (error as Error).message });
      await delay(retryMs, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
  }
}

async function open(place: Place, pools: ReadPools, options: StoreOptions): Promise<NodeStore> {
  const begins = await migrate(place, options.softwareVersion);
  const [row] = await pools.forUs({ text: "select incarnation from keyfleet.node_self" });
  const store = new PostgresStore({ place, pools, options, incarnation: row?.incarnation as string, begins });
  try {
    await store.open(options.keyring);
  } catch (error) {
    await store.close().catch(() => undefined);
    throw error;
  }
  return store;
}

class PostgresStore implements NodeStore {
  readonly clock: LogicalClock;
  readonly intake: Intake;
  readonly ownName: OwnName;
  readonly #local: LocalValues;
  readonly #pools: ReadPools;
  readonly #writer: Writer;
  readonly #reader: ObjectReader;
  readonly #searches: Searches;
  readonly #fences: Fences;
  readonly #remote = new RemoteListeners();
  readonly #listeners = new Set<(channel: string) => void>();
  readonly #nowMs: () => number;
  readonly #audits: Audits;
  readonly #damage: Damage;
  readonly #distrust: Distrust;
  #closed = false;
  #blocked: string | undefined;
  #gate: WriteGate | undefined;
  /** Changes that are durable here and wait for other sites. */
  #heldBack = 0;
  readonly #ownEnd: OwnEnd;

  constructor(parts: { place: Place; pools: ReadPools; options: StoreOptions; incarnation: string; begins: boolean }) {
    const { place, pools, options, incarnation } = parts;
    this.#pools = pools;
    this.#nowMs = options.nowMs;
    this.clock = new LogicalClock(options.nowMs);
    this.#damage = new Damage(options.log, (text) => this.query(text));
    pools.failed = (error) => this.#damage.failed(error);
    this.#local = new LocalValues((text, values) => this.query(text, values));
    this.#ownEnd = new OwnEnd(parts.begins, {
      query: (text) => this.query(text),
      settings: this.#local,
    });
    const notified = (channel: string) => {
      if (channel === "connected") this.#ownEnd.keep();
      for (const listener of this.#listeners) listener(channel);
    };
    const damaged = (ids: Iterable<string>) => this.#foundDamaged(ids);
    this.#reader = new ObjectReader(
      (text, values) => this.#pools.forClients(prepared(text, values)),
      () => this.#writer.ledger.keyring,
    );
    this.#searches = new Searches({
      query: (text, values) => this.#pools.forClients({ text, values }),
      prepared: (text, values) => this.#pools.forClients({ name: "names", text, values }),
      descriptions: (ids) => this.descriptions(ids),
    });
    this.#writer = new Writer({
      place,
      incarnation,
      clock: this.clock,
      log: options.log,
      channels,
      notified,
      damaged,
      failed: (error) => this.#damage.failed(error),
      room: new DiskRoom({
        freeBytes: options.freeBytes ?? (() => Number.POSITIVE_INFINITY),
        nowMs: options.nowMs,
        log: options.log,
      }),
      readings: {
        touch: (ids) => this.#reader.touch(ids),
        release: (ids) => this.#reader.release(ids),
        reset: (known) => {
          this.#reader.reset(known);
          this.#searches.grants.reset(known);
        },
      },
      grants: this.#searches.grants,
      heldBack: () => (this.#gate?.holds === true ? this.#heldBack : undefined),
    });
    this.#fences = new Fences({
      held: (origin) => (origin === this.incarnation ? 0 : this.#held(origin)),
      keyring: () => this.#writer.ledger.keyring,
      save: (text) => this.setSetting(fencesSetting, text),
    });
    this.ownName = new OwnName({ settings: this.#local, keyring: () => this.#writer.ledger.keyring });
    this.#writer.ledger.fences = this.#fences.ends;
    this.intake = new Intake(this.#writer.ledger, (work) => this.#writer.alone(work), this.#writer.room);
    const { ledger } = this.#writer;
    this.#distrust = new Distrust({
      settings: this.#local,
      distrust: (why) => ledger.distrust(why),
      rehabilitate: () => this.#writer.rehabilitate(),
    });
    this.#audits = new Audits({
      look: () => this.#look(),
      nowMs: options.nowMs,
      log: options.log,
      foundDamaged: damaged,
      distrust: (why) => this.#distrust.found(why, ledger.toAudit.keyring),
      trust: () => this.#distrust.over(),
    });
    if (options.keyring !== undefined) void this.#writer.useKeyring(options.keyring);
  }

  async open(keyring: Keyring | undefined): Promise<void> {
    this.#fences.restore(await this.setting(fencesSetting), keyring);
    await this.#distrust.recall(keyring);
    await this.#writer.open();
    await this.#ownEnd.recall();
  }

  async object(id: string): Promise<ManagedObject | undefined> {
    const { objects, damaged } = await this.#read([id]);
    if (damaged.length > 0)
      throw new StoreError("damaged", `object ${id} is not served: its row is not as it was written`);
    return objects[0];
  }

  async objects(ids: readonly string[]): Promise<readonly ManagedObject[]> {
    this.#mustBeWhole();
    // Most often they are kept: then nothing is waited for.
    return this.#reader.kept(ids) ?? (await this.#read(ids)).objects;
  }

  descriptions(ids: readonly string[]): AsyncIterable<readonly Description[]> {
    this.#mustBeWhole();
    return this.#reader.descriptions(ids, (damaged) => this.#foundDamaged(damaged));
  }

  locate(filter: ObjectFilter, most?: number): Promise<readonly string[]> {
    return this.#searches.locate(filter, most);
  }

  get incarnation(): string {
    return this.#writer.ledger.incarnation;
  }

  get holder(): string {
    return this.#writer.ledger.holder;
  }

  async write(changes: readonly Change[]): Promise<void> {
    this.#mustBeWhole();
    if (this.#blocked !== undefined) throw new StoreError("unavailable", this.#blocked);
    if (changes.length === 0) return;
    if (!this.#ownEnd.known) await this.#ownEnd.opening();
    const head = await this.#writer.write(changes);
    this.#heldBack += changes.length;
    try {
      await this.#gate?.wait(head);
    } finally {
      this.#heldBack -= changes.length;
    }
  }

  async ingest(operations: readonly Operation[], options: { readonly importing?: true } = {}): Promise<Ingested> {
    if (options.importing !== true) this.#mustBeWhole();
    const ingested = await this.#writer.ingest(operations, options.importing === true);
    this.#remote.tell(operations, ingested.position);
    return ingested;
  }

  settled(): Promise<void> {
    return this.#writer.alone(async () => undefined, { sparesObjects: true });
  }

  onRemote(marker: string, listener: (ids: readonly string[]) => void): void {
    this.#remote.add(marker, listener);
  }

  head(origin: string): { readonly seq: number; readonly mac: Buffer } | undefined {
    const { vector, macs } = this.#writer.ledger;
    const [seq, mac] = [vector.get(origin), macs.get(origin)];
    return seq === undefined || mac === undefined ? undefined : { seq, mac };
  }

  async macAt(origin: string, seq: number): Promise<Buffer | undefined> {
    const head = this.head(origin);
    if (head?.seq === seq) return head.mac;
    const text = "select mac from keyfleet.ops where origin = $1 and seq = $2";
    return (await this.query(text, [origin, seq]))[0]?.mac as Buffer | undefined;
  }

  get ownEndKnown(): boolean {
    return this.#ownEnd.known;
  }

  setOwnEndKnown(): void {
    this.#ownEnd.know();
  }

  setOpening(opening: () => Promise<void>): void {
    this.#ownEnd.opening = opening;
  }

  async renew(renewal: Renewal): Promise<boolean> {
    const renewed = await this.#writer.alone((client) => this.#writer.ledger.renew(client, renewal));
    if (renewed) this.#ownEnd.know();
    return renewed;
  }

  block(reason: string): void {
    this.#blocked = reason;
  }

  async prune(common: Vector, olderThanMs: number): Promise<number> {
    if (this.intake.importing !== undefined) return 0;
    const before = BigInt(Math.floor(this.#nowMs() - olderThanMs)) << 16n;
    return this.#writer.alone((client) => this.#writer.ledger.prune(client, common, before), { sparesObjects: true });
  }

  async setKeyring(keyring: Keyring): Promise<void> {
    this.#fences.trust(keyring);
    await this.#writer.useKeyring(keyring);
  }

  setFeatureLevel(version: string): void {
    this.#writer.featureLevel = version;
  }

  setFences(fences: Vector): void {
    this.#fences.raise(fences);
  }

  takeFences(said: unknown): boolean {
    return this.#fences.take(said);
  }

  pass(from: string, to: string): string | undefined {
    return passOf(() => this.#writer.ledger.keyring, from, to);
  }

  setGate(gate: WriteGate | undefined): void {
    this.#gate = gate;
  }

  audit(): Promise<Audit> {
    return this.#audits.now();
  }

  onNotification(listener: (channel: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  vector(): Vector {
    return this.#writer.ledger.vector;
  }

  setting(key: string): Promise<Json | undefined> {
    return this.#local.setting(key);
  }

  setSetting(key: string, value: Json): Promise<void> {
    return this.#local.setSetting(key, value);
  }

  masterKeys(): Promise<readonly SealedMasterKey[]> {
    return this.#local.masterKeys();
  }

  saveMasterKeys(rows: readonly SealedMasterKey[]): Promise<void> {
    return this.#local.saveMasterKeys(rows);
  }

  async ping(): Promise<boolean> {
    return this.query("select").then(
      () => true,
      () => false,
    );
  }

  query(text: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]> {
    return this.#pools.forUs(prepared(text, values as unknown[] | undefined));
  }

  status(): StoreStatus {
    const { ledger } = this.#writer;
    return {
      available: this.#writer.connected,
      queuedOperations: this.#writer.queued,
      head: ledger.vector.get(this.incarnation) ?? 0,
      unappliedOperations: ledger.kept,
      damagedObjects: this.#damage.objects,
      damage: ledger.problem?.message,
      damagedPages: this.#damage.pages,
      auditedMs: this.#audits.lastMs,
      auditProblem: this.#audits.problem,
      clockAheadMs: this.clock.aheadMs(),
      writesRefused: this.#writer.room.problem?.message,
      slowestCommitMs: this.#writer.slowestCommit.ms,
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#audits.stop();
    this.#damage.stop();
    this.#closed = true;
    await this.#fences.saved();
    this.#writer.close();
    await this.#pools.end();
  }

  async #look(): Promise<Audit> {
    this.#mustBeWhole();
    const { ledger } = this.#writer;
    const alone: Alone = (work) => this.#writer.alone(work, { sparesObjects: true });
    const found = await new RunningAudit({ ledger, alone }).run();
    await this.#damage.ask();
    return found;
  }

  #mustBeWhole(): void {
    if (this.intake.importing !== undefined) throw takingIn();
  }

  /** Also what a snapshot has set aside. */
  #held(origin: string): number {
    return Math.max(this.vector().get(origin) ?? 0, this.intake.importing?.floor.get(origin) ?? 0);
  }

  async #read(ids: readonly string[]): Promise<Found> {
    this.#mustBeWhole();
    const found = await this.#reader.read(ids);
    this.#foundDamaged(found.damaged);
    return found;
  }

  #foundDamaged(ids: Iterable<string>): void {
    this.#reader.drop(ids);
    this.#damage.found(ids);
  }
}
