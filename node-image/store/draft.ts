import type { Keyring } from "../keys/types.ts";
import type { Change } from "../objects/types.ts";
import { arrayOf } from "./array-parameter.ts";
import type { LogicalClock } from "./clock.ts";
import { encodeChange, envelope, understands, verified } from "./operation.ts";
import type { Ingested, Operation, Vector } from "./types.ts";
import { notificationMaxBytes, toWire } from "./wire.ts";

/** What a draft is made against. */
export interface DraftBase {
  readonly incarnation: string;
  readonly keyring: Keyring;
  readonly clock: LogicalClock;
  readonly fences: Vector;
  readonly vector: Vector;
}

/** Payloads made before queueing, so that a change that cannot be kept is refused alone. */
export interface EncodedChange {
  readonly change: Change;
  readonly payload: Buffer;
}

/** Encodes the changes of one write; throws StoreError "invalid". */
export function encode(changes: readonly Change[]): readonly EncodedChange[] {
  return changes.map((change) => ({ change, payload: encodeChange(change) }));
}

/** One transaction in the making: operations that join up with the log, of this node and of others. */
export class Draft {
  /** To be appended to the log. */
  readonly operations: Operation[] = [];
  /** Logged earlier and kept; to be merged now. */
  readonly kept: Operation[] = [];
  readonly #base: DraftBase;
  readonly #understood = new Set<Operation>();
  readonly #changes = new Map<Operation, Change>();
  readonly #positions = new Map<string, number>();

  constructor(base: DraftBase) {
    this.#base = base;
  }

  position(origin: string): number {
    return this.#positions.get(origin) ?? this.#base.vector.get(origin) ?? 0;
  }

  positions(): Vector {
    return this.#positions;
  }

  /** Identifiers of the objects that it touches. */
  objects(): ReadonlySet<string> {
    return new Set([...this.operations, ...this.kept].map(({ object }) => object));
  }

  addLocal(changes: readonly EncodedChange[]): void {
    const { incarnation, clock, keyring } = this.#base;
    for (const { change, payload } of changes) {
      const { kind, id: object } = change;
      const seq = this.position(incarnation) + 1;
      const unsigned = { origin: incarnation, seq, hlc: clock.tick(), kind, object, payload };
      const operation = { ...unsigned, mac: keyring.mac(envelope(unsigned)) };
      this.#add(operation, true);
      this.#changes.set(operation, change);
    }
  }

  /** Takes the consecutive operations that are new, up to the first that must be refused. */
  addForeign(operations: readonly Operation[]): Ingested {
    const origin = operations[0]?.origin ?? "";
    for (const operation of operations) {
      const position = this.position(origin);
      if (operation.origin === origin && operation.seq <= position) continue;
      const reason = this.#refusal(operation, origin);
      if (reason !== undefined) return { outcome: "refused", position, seq: operation.seq, reason };
      if (operation.seq !== position + 1) break;
      this.#base.clock.follow(operation.hlc);
      this.#add(operation, understands(operation));
    }
    return { outcome: "held", position: this.position(origin) };
  }

  /** Takes operations that were kept and are understood now; false when one is not what a member has made. */
  addKept(operations: readonly Operation[]): boolean {
    this.kept.push(...operations);
    return operations.every((operation) => verified(this.#base.keyring, operation));
  }

  /** What an operation of this node was made from: it need not be decoded again. */
  changeOf(operation: Operation): Change | undefined {
    return this.#changes.get(operation);
  }

  /** What is to be merged. */
  merging(): readonly Operation[] {
    return [...this.operations.filter((operation) => this.#understood.has(operation)), ...this.kept];
  }

  /** Arguments of keyfleet.append; `merged` are the operations that the same transaction merges. */
  columns(merged: ReadonlySet<Operation>): Buffer[] {
    const all = this.operations;
    return [
      arrayOf.uuids(all.map(({ origin }) => origin)),
      arrayOf.bigints(all.map(({ seq }) => seq)),
      arrayOf.bigints(all.map(({ hlc }) => hlc)),
      arrayOf.texts(all.map(({ kind }) => kind)),
      arrayOf.uuids(all.map(({ object }) => object)),
      arrayOf.byteas(all.map(({ payload }) => payload)),
      arrayOf.byteas(all.map(({ mac }) => mac)),
      arrayOf.booleans(all.map((operation) => !merged.has(operation))),
      arrayOf.texts(this.#notifications()),
    ];
  }

  /** Small operations travel in the notification itself, which saves the peers a round trip; for large ones they ask. */
  #notifications(): string[] {
    const own = this.operations.filter((operation) => operation.origin === this.#base.incarnation);
    const texts = own.map((operation) => (operation.payload.length > notificationMaxBytes ? "" : toWire(operation)));
    return texts.map((text) => (Buffer.byteLength(text) > notificationMaxBytes ? "" : text));
  }

  #refusal(operation: Operation, origin: string): "malformed" | "fenced" | "clockTooFarAhead" | "badMac" | undefined {
    const { incarnation, fences, clock, keyring } = this.#base;
    if (operation.origin !== origin || origin === incarnation) return "malformed";
    if (operation.seq > (fences.get(origin) ?? Number.MAX_SAFE_INTEGER)) return "fenced";
    if (clock.refuses(operation.hlc)) return "clockTooFarAhead";
    return verified(keyring, operation) ? undefined : "badMac";
  }

  #add(operation: Operation, understood: boolean): void {
    this.operations.push(operation);
    if (understood) this.#understood.add(operation);
    this.#positions.set(operation.origin, operation.seq);
  }
}
