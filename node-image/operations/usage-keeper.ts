import { setTimeout as delay } from "node:timers/promises";
import { type FinerCode, Refusal } from "../objects/refusal.ts";
import type { Json, ManagedObject, Store } from "../objects/types.ts";
import * as ledgers from "../objects/usage-ledger.ts";
import { type AbsentHolders, absentHolders, type SeenLedger } from "./absent-holders.ts";
import { serialQueue } from "./serial.ts";

/** How long a client waits for other nodes to hand over what is left there. */
const waitMs = 1_000;
/** Uses of one object that wait for one write. */
const takesMax = 1_000;

/** What the keeper needs. */
export interface KeeperParts {
  readonly store: Store;
  /** Resolves after that many milliseconds. */
  readonly delay?: (milliseconds: number) => Promise<unknown>;
  /** A clock that only goes forward. */
  readonly nowMs?: () => number;
  readonly log: (fields: Readonly<Record<string, string | number | boolean>>) => void;
}

/** Whether the units were had; `elsewhere`: other nodes hold them; `notStored`: the object is not durable yet. */
type Outcome = "taken" | Kept;
type Kept = "usedUp" | "elsewhere" | "notStored";

/** What a client is told of units that were not had. */
const told: Readonly<Record<Kept, string>> = {
  usedUp: "The object's Usage Limits do not allow this any more: make a new key, or raise the limit while it is unused",
  elsewhere:
    "What is left of the object's Usage Limits is held by other nodes, which did not answer in time: try again, or use another node",
  notStored: "The object's Usage Limits are not stored yet: use it after this batch",
};

/** What is said of an object whose limits a batch made or changed that may yet be undone. */
export function notStoredYet(): Refusal {
  return new Refusal("PermissionDenied", told.notStored);
}

/** The rows to write, by the object as it is. Throws Refusal. */
export type UsageDecision = (object: ManagedObject) => Readonly<Record<string, Json[] | null>>;

/** Counts uses against Usage Limits, and changes them. */
export interface UsageCounter {
  /** Takes units off the limit, durably; rejects with Refusal when they cannot be had: `finer` if no node has them. An object without limits has no end. */
  take(id: string, units: number, finer?: FinerCode): Promise<void>;
  /** Runs `decide` on the object as it is, alone among all that write this node's entry, and writes what it gives. */
  update(id: string, decide: UsageDecision): Promise<void>;
  /** Throws Refusal if the batch changed the object's limits, and may yet be undone: uses of it could not be counted. */
  refuseChanged(id: string): void;
  /** Runs work while nothing else writes this node's entries of the objects, which are in order, so that nobody waits in a circle. */
  alone(ids: readonly string[], work: () => Promise<void>): Promise<void>;
}

/** Uses of one object that share the next write. */
interface Takes {
  readonly units: number[];
  readonly outcomes: Promise<readonly Outcome[]>;
}

/** Writes this node's entries of usage ledgers, one after another for each object, and answers other nodes' wants. */
export class UsageKeeper implements UsageCounter {
  readonly #parts: KeeperParts;
  readonly #serial = serialQueue(takesMax);
  readonly #takes = new Map<string, Takes>();
  readonly #arrivals = new Map<string, PromiseWithResolvers<void>>();
  readonly #absent: AbsentHolders;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    this.#absent = absentHolders(parts.nowMs ?? (() => performance.now()));
    parts.store.onRemote(".usage ", (ids) => {
      for (const id of ids) this.#arrived(id);
    });
  }

  async take(id: string, units: number, finer?: FinerCode): Promise<void> {
    let outcome = await this.#try(id, units);
    if (outcome === "elsewhere") outcome = await this.#fromOthers(id, units);
    if (outcome === "taken") return;
    throw new Refusal("PermissionDenied", told[outcome], outcome === "usedUp" ? finer : undefined);
  }

  refuseChanged(): void {}

  alone([first, ...others]: readonly string[], work: () => Promise<void>): Promise<void> {
    return first === undefined ? work() : this.#serial(first, () => this.alone(others, work));
  }

  update(id: string, decide: UsageDecision): Promise<void> {
    return this.#serial(id, async () => {
      const object = await this.#parts.store.object(id);
      if (object === undefined) throw notStoredYet();
      const attributes = decide(object);
      if (Object.keys(attributes).length > 0) await this.#write(id, attributes);
    });
  }

  async #fromOthers(id: string, units: number): Promise<Outcome> {
    const waiting = await this.#ask(id, units);
    if (waiting === undefined) return "elsewhere";
    let { arrival } = waiting;
    const { deadline } = waiting;
    for (;;) {
      const first = await Promise.race([arrival.then(() => "arrived" as const), deadline]);
      arrival = this.#arrival(id);
      const outcome = await this.#try(id, units);
      if (outcome === "elsewhere" && first !== "late") continue;
      this.#wake(id); // Whoever else waits looks again and listens anew; nothing is left behind.
      if (outcome === "elsewhere") await this.#look(id, (seen) => this.#absent.waitedFor(seen));
      return outcome;
    }
  }

  /** Asks the others for units; what is waited for then, if somebody may answer. */
  async #ask(id: string, units: number) {
    const waits: { readonly deadline: Promise<"late">; readonly arrival: Promise<void> }[] = [];
    const ask = (ledger: ledgers.UsageLedger, own: string) => {
      const asked = ledgers.ask(ledger, own, units);
      if (this.#absent.mayHave(units, { ledger, own })) {
        // Listening begins before asking, and again before each look: what arrives in between is not missed.
        const deadline = (this.#parts.delay ?? delay)(waitMs).then(() => "late" as const);
        waits.push({ deadline, arrival: this.#arrival(id) });
        return asked;
      }
      // Who is away hears of it on its return.
      return asked.wanted > ledgers.entryOf(ledger, own).wanted ? asked : undefined;
    };
    await this.update(id, (object) => this.#entry(object, ask));
    return waits[0];
  }

  /** Shows somebody the object's ledger as it is now, if it has one. */
  async #look(id: string, see: (seen: SeenLedger) => void): Promise<void> {
    const object = await this.#parts.store.object(id);
    const limits = object === undefined ? undefined : ledgers.usageLimitsOf(object);
    if (object === undefined || limits === undefined) return;
    see({ object: id, ledger: ledgers.ledgerOf(object.attributes, limits.epoch), own: this.#parts.store.holder });
  }

  #wake(id: string): void {
    this.#arrivals.get(id)?.resolve();
    this.#arrivals.delete(id);
  }

  #arrival(id: string): Promise<void> {
    const present = this.#arrivals.get(id) ?? Promise.withResolvers<void>();
    this.#arrivals.set(id, present);
    return present.promise;
  }

  /** Another node changed its entry: whoever waits tries again, and what it wants it is given. */
  #arrived(id: string): void {
    this.#wake(id);
    const give = (ledger: ledgers.UsageLedger, own: string) => {
      this.#absent.heard({ object: id, ledger });
      return ledgers.give(ledger, own);
    };
    this.update(id, (object) => this.#entry(object, give)).catch((error: Error) => {
      this.#parts.log({ level: "warn", event: "usage-not-shared", object: id, error: error.name });
    });
  }

  async #try(id: string, units: number): Promise<Outcome> {
    const takes = this.#takes.get(id) ?? this.#open(id);
    if (takes.units.length >= takesMax) {
      throw new Refusal("PermissionDenied", "Too many uses of this object are waiting: try again in a second");
    }
    const place = takes.units.push(units) - 1;
    return (await takes.outcomes)[place] as Outcome;
  }

  #open(id: string): Takes {
    const units: number[] = [];
    const outcomes = this.#serial(id, () => {
      this.#takes.delete(id);
      return this.#takeAll(id, units);
    });
    const takes = { units, outcomes };
    this.#takes.set(id, takes);
    return takes;
  }

  async #takeAll(id: string, units: readonly number[]): Promise<readonly Outcome[]> {
    const object = await this.#parts.store.object(id);
    const limits = object === undefined ? undefined : ledgers.usageLimitsOf(object);
    // An object that is not durable yet (a batch that may be undone) cannot be counted.
    if (object === undefined) return units.map(() => "notStored");
    if (limits === undefined) return units.map(() => "taken");
    const own = this.#parts.store.holder;
    const ledger = new Map(ledgers.ledgerOf(object.attributes, limits.epoch));
    const outcomes = units.map((each): Outcome => {
      const entry = ledgers.spend(ledger, own, each);
      if (entry !== undefined) ledger.set(own, entry);
      else return ledgers.totalOf(ledger) - ledgers.usedOf(ledger) < each ? "usedUp" : "elsewhere";
      return "taken";
    });
    const entry = ledger.get(own);
    if (entry !== undefined && outcomes.includes("taken")) {
      await this.#write(id, { [ledgers.usageRow(limits.epoch, own)]: ledgers.usageValue(entry) });
    }
    return outcomes;
  }

  /** The row of this node's entry after a change of it; none when nothing changes. */
  #entry(
    object: ManagedObject,
    change: (ledger: ledgers.UsageLedger, own: string) => ledgers.UsageEntry | undefined,
  ): Readonly<Record<string, Json[]>> {
    const limits = ledgers.usageLimitsOf(object);
    if (limits === undefined) return {};
    const own = this.#parts.store.holder;
    const ledger = ledgers.ledgerOf(object.attributes, limits.epoch);
    const entry = change(ledger, own);
    if (entry === undefined || entry === ledger.get(own)) return {};
    return { [ledgers.usageRow(limits.epoch, own)]: ledgers.usageValue(entry) };
  }

  #write(id: string, attributes: Readonly<Record<string, Json[] | null>>): Promise<void> {
    return this.#parts.store.write([{ kind: "change", id, facts: 0, attributes }]);
  }
}
