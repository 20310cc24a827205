import type { Json } from "../objects/types.ts";
import type { Importing } from "../store/importing.ts";
import { join, nothing, type State } from "../store/law.ts";
import type { Operation, Vector } from "../store/types.ts";
import type { Effects } from "./effects.ts";

/** The end of a log, also of one whose operations are not there any more. */
export type Base = Pick<Operation, "seq" | "hlc" | "mac">;

/** What a member has acknowledged, in which order, and whether it is still connected. */
interface Position {
  readonly origin: string;
  readonly seq: number;
  readonly at: number;
  readonly open: boolean;
}

/** What a node remembers of a member: how far it held each log, and when it was heard. */
export interface RememberedMember {
  readonly vector: Readonly<Record<string, number>>;
  readonly heardMs: number;
}

/** What a disk holds of the fleet's operations. */
export interface Held {
  readonly logs: ReadonlyMap<string, readonly Operation[]>;
  readonly bases: ReadonlyMap<string, Base>;
  readonly objects: ReadonlyMap<string, State>;
}

const pullMax = 1_000;

/** What survives the end of a node's processes: the logs, gapless per origin, what they came to, and whose node this is. */
export class Disk {
  incarnation: string;
  readonly logs = new Map<string, Operation[]>();
  /** How much of the beginning of each log was pruned. */
  readonly bases = new Map<string, Base>();
  readonly objects = new Map<string, State>();
  readonly members = new Map<string, RememberedMember>();
  /** Ends of departed logs, as the store saves them. */
  fences: Json = [];
  importing: Importing | undefined;
  /** What it held before that. */
  aside: Held | undefined;
  /** As an unlogged table: gone when PostgreSQL crashes. Identity → position of this node's log. */
  readonly positions = new Map<string, Position>();
  /** No key server has run on it yet. */
  fresh = true;

  readonly #effects: Effects;

  constructor(incarnation: string, effects: Effects) {
    this.incarnation = incarnation;
    this.#effects = effects;
  }

  /** An image of it as it is now. */
  copy(): Disk {
    const copy = new Disk(this.incarnation, this.#effects);
    for (const [origin, log] of this.logs) copy.logs.set(origin, [...log]);
    for (const [origin, base] of this.bases) copy.bases.set(origin, base);
    for (const [id, state] of this.objects) copy.objects.set(id, state);
    for (const [identity, member] of this.members) copy.members.set(identity, member);
    copy.fences = this.fences;
    copy.importing = this.importing;
    copy.aside = this.aside;
    copy.fresh = this.fresh;
    return copy;
  }

  log(origin: string): Operation[] {
    const present = this.logs.get(origin);
    if (present !== undefined) return present;
    const log: Operation[] = [];
    this.logs.set(origin, log);
    return log;
  }

  /** Appends and merges as a transaction does; that nothing is missing in between is for others to take care of, and for the checks. */
  append(operations: readonly Operation[]): void {
    for (const operation of operations) {
      const { origin, object } = operation;
      this.log(origin).push(operation);
      this.objects.set(object, join(this.objects.get(object) ?? nothing, this.#effects.of(operation)));
    }
  }

  /** Takes what is covered and older from the beginning of a log; returns how many operations. */
  prune(origin: string, { upTo, beforeHlc }: { readonly upTo: number; readonly beforeHlc: bigint }): number {
    const log = this.logs.get(origin) ?? [];
    const keep = log.findIndex(({ seq, hlc }) => seq > upTo || hlc >= beforeHlc);
    const pruned = log.splice(0, keep < 0 ? log.length : keep);
    const last = pruned.at(-1);
    if (last !== undefined) this.bases.set(origin, last);
    return pruned.length;
  }

  /** Everything of others', and this node's own log too. */
  held(): Held {
    return { logs: new Map(this.logs), bases: new Map(this.bases), objects: new Map(this.objects) };
  }

  /** Holds that and nothing else. */
  hold({ logs, bases, objects }: Held): void {
    this.clear();
    for (const [origin, log] of logs) this.logs.set(origin, [...log]);
    for (const [origin, base] of bases) this.bases.set(origin, base);
    for (const [id, state] of objects) this.objects.set(id, state);
  }

  clear(): void {
    this.logs.clear();
    this.bases.clear();
    this.objects.clear();
  }

  /** Joins into it what is held elsewhere: the objects by the law, and each log that is longer there. */
  join({ logs, bases, objects }: Held): void {
    for (const [id, state] of objects) this.objects.set(id, join(this.objects.get(id) ?? nothing, state));
    for (const origin of new Set([...logs.keys(), ...bases.keys()])) {
      const [log = [], base] = [logs.get(origin), bases.get(origin)];
      if (((log.at(-1) ?? base)?.seq ?? 0) <= this.position(origin)) continue;
      this.logs.set(origin, [...log]);
      if (base === undefined) this.bases.delete(origin);
      else this.bases.set(origin, base);
    }
  }

  head(origin: string): Base | undefined {
    return this.logs.get(origin)?.at(-1) ?? this.bases.get(origin);
  }

  position(origin: string): number {
    return this.head(origin)?.seq ?? 0;
  }

  /** As keyfleet.vector reads it: the last sequence there is. */
  vector(): Vector {
    const vector = new Map<string, number>();
    for (const [origin, log] of this.logs) {
      const seq = log.at(-1)?.seq ?? this.bases.get(origin)?.seq ?? 0;
      if (seq > 0) vector.set(origin, seq);
    }
    for (const [origin, { seq }] of this.bases) if (!vector.has(origin) && seq > 0) vector.set(origin, seq);
    return vector;
  }

  /** Behind a sequence, as mesh.pull gives them. */
  pull(origin: string, after: number, amount: number): readonly Operation[] {
    const log = this.logs.get(origin) ?? [];
    const base = this.bases.get(origin)?.seq ?? 0;
    let first = Math.min(log.length, Math.max(0, after - base));
    // Unless a bug has left a gap it is there.
    while (first > 0 && (log[first - 1]?.seq ?? 0) > after) first -= 1;
    return log.slice(first, first + Math.min(amount, pullMax));
  }
}
