import type { Keyring } from "../keys/types.ts";
import { SecondChance } from "../objects/second-chance.ts";
import type { Description, ManagedObject } from "../objects/types.ts";
import { StoreError } from "./error.ts";
import { isUuid } from "./operation.ts";
import { type Found, type Reading as Part, type Query, readObjects } from "./read.ts";
import { ReadRoom } from "./read-room.ts";

/**
 * What is read at once. Of objects up to `ofSmall` many come in one query; each larger one comes by itself, `largeAtOnce` in
 * all. Pages of descriptions have `pageObjects` small ones, and those that are being looked at have `ofPages` together; who
 * finds no room waits for it.
 */
export const readLimits = {
  ofSmall: 16 * 1024,
  pageObjects: 128,
  ofPages: 8 * 1024 * 1024,
  largeAtOnce: 2,
} as const;
const pageMaxBytes = readLimits.pageObjects * readLimits.ofSmall;
const small = (part: Part["part"]): Part => ({ part, maxBytes: readLimits.ofSmall });
/** PostgreSQL has no value that is larger. */
const ofAnySize = (part: Part["part"]): Part => ({ part, maxBytes: 2 ** 31 - 1 });

/**
 * What is kept of objects that were read: sealed material only. Beyond the bounds the ones go that were not used lately.
 * A weight is about the bytes of the object in the database; in memory it takes about three times as much.
 */
export const objectCacheLimits = { objects: 8_000, weight: 12 * 1024 * 1024, weightOfOne: readLimits.ofSmall } as const;

/** Most objects that one call returns. */
const objectsMax = 10_000;
/** Longer lists are searches: they are read as they are, and push nothing out. */
const cachedListMax = 16;
/** Identifiers of one query, and queries at once; what is asked for meanwhile goes into the next query together. */
const batchMax = 256;
const queriesMax = 2;

type Few = Omit<Awaited<ReturnType<typeof readObjects>>, "bytes">;
type Reading = ManagedObject | "absent" | "damaged" | "large";

interface Pending {
  readonly id: string;
  readonly promise: Promise<Reading>;
  readonly resolve: (reading: Reading) => void;
  readonly reject: (error: unknown) => void;
  /** It began before a change of the object ended: good for whoever waits for it, not to be kept. */
  stale: boolean;
}

/**
 * Reads objects for the operations, many in one query, and keeps some. Correct because one process alone writes: while a
 * commit that touches an object is under way, the object is neither kept nor read together with others; absence is kept too.
 */
export class ObjectReader {
  readonly #query: Query;
  readonly #keyring: () => Keyring;
  readonly #kept = new SecondChance<{ readonly reading: ManagedObject | "absent"; readonly weight: number }>();
  readonly #pending = new Map<string, Pending>();
  readonly #pages = new ReadRoom(readLimits.ofPages);
  readonly #large = new ReadRoom(readLimits.largeAtOnce);
  readonly #touched = new Map<string, number>();
  #queue: Pending[] = [];
  #queries = 0;
  #scheduled = false;
  #weight = 0;
  #keeping = false;

  /** `keyring` throws while nothing may be read. */
  constructor(query: Query, keyring: () => Keyring) {
    this.#query = query;
    this.#keyring = keyring;
  }

  /** Objects kept at present. */
  get size(): number {
    return this.#kept.size;
  }

  /** Known ones of these in the order asked, unless the database must be asked for one. Throws StoreError. */
  kept(ids: readonly string[]): ManagedObject[] | undefined {
    if (ids.length > cachedListMax) return undefined;
    this.#openKeyring();
    const objects: ManagedObject[] = [];
    for (const id of ids) {
      const reading = this.#recall(id);
      if (reading === undefined || reading === "damaged" || reading === "large") return undefined;
      if (reading !== "absent") objects.push(reading);
    }
    return objects;
  }

  /** Known ones in the order asked. Rejects with StoreError. */
  async read(ids: readonly string[]): Promise<Found> {
    this.#openKeyring();
    if (ids.length > cachedListMax) return this.#readMany(ids);
    const few = await this.#readFew(ids);
    if (few.large.length === 0) return { objects: few.objects, damaged: few.damaged };
    const found = { objects: [...few.objects], damaged: [...few.damaged] };
    await this.#addLarge(found, few.large);
    return { ...found, objects: inOrder(ids, found.objects) };
  }

  /** See `Store.descriptions`; `found` hears of damaged ones. Rejects with StoreError. */
  async *descriptions(
    ids: readonly string[],
    found: (damaged: readonly string[]) => void,
  ): AsyncGenerator<readonly Description[]> {
    const kept = this.kept(ids);
    if (kept !== undefined) yield kept;
    else
      for await (const { objects, damaged } of this.#pagesOf(ids)) {
        found(damaged);
        yield objects;
      }
  }

  /** A few small ones come with their material, as they are kept. */
  async *#pagesOf(ids: readonly string[]): AsyncGenerator<Found> {
    this.#openKeyring();
    if (ids.length <= cachedListMax) {
      yield* this.#runs(ids, await this.#readFew(ids));
      return;
    }
    for (let at = 0; at < ids.length; at += readLimits.pageObjects) {
      const some = ids.slice(at, at + readLimits.pageObjects);
      await this.#pages.take(pageMaxBytes);
      let taken = pageMaxBytes;
      try {
        const page = await readObjects(this.#query, this.#openKeyring(), some, small("description"));
        const bytes = Math.min(pageMaxBytes, page.bytes);
        this.#pages.give(taken - bytes);
        taken = bytes;
        yield* this.#runs(some, page);
      } finally {
        this.#pages.give(taken);
      }
    }
  }

  /** What was read, in the order asked: each large one is read when it is its turn, and the next when it was looked at. */
  async *#runs(ids: readonly string[], page: Few): AsyncGenerator<Found> {
    if (page.large.length === 0) {
      yield { objects: page.objects, damaged: page.damaged };
      return;
    }
    const [found, large] = [new Map(page.objects.map((object) => [object.id, object])), new Set(page.large)];
    let run: ManagedObject[] = [];
    for (const id of ids) {
      if (large.has(id)) {
        if (run.length > 0) yield { objects: run, damaged: [] };
        run = [];
        await this.#large.take(1);
        try {
          yield await this.#readLarge(id, "description");
        } finally {
          this.#large.give(1);
        }
      } else {
        const object = found.get(id);
        if (object !== undefined) run.push(object);
      }
    }
    yield { objects: run, damaged: page.damaged };
  }

  async #readFew(ids: readonly string[]): Promise<Few> {
    const few = { objects: [] as ManagedObject[], damaged: [] as string[], large: [] as string[] };
    const readings = ids.filter(isUuid).map((id) => [id, this.#recall(id) ?? this.#ask(id)] as const);
    for (const [id, asked] of readings) {
      const reading = asked instanceof Promise ? await asked : asked;
      if (reading === "damaged" || reading === "large") few[reading].push(id);
      else if (reading !== "absent") few.objects.push(reading);
    }
    return few;
  }

  async #readMany(ids: readonly string[]): Promise<Found> {
    if (ids.length > objectsMax) throw new StoreError("tooMany", `ask for at most ${objectsMax} objects at once`);
    const all = { objects: [] as ManagedObject[], damaged: [] as string[] };
    for (let at = 0; at < ids.length; at += batchMax) {
      const some = ids.slice(at, at + batchMax);
      const page = await readObjects(this.#query, this.#openKeyring(), some, small("whole"));
      const found = { objects: [...page.objects], damaged: [...page.damaged] };
      if (page.large.length > 0) await this.#addLarge(found, page.large);
      add(all, { ...found, objects: inOrder(some, found.objects) });
    }
    return all;
  }

  /** An object of any size, as it is now. */
  #readLarge(id: string, part: Part["part"]): Promise<Found> {
    return readObjects(this.#query, this.#openKeyring(), [id], ofAnySize(part));
  }

  /** One after the other in one turn: all who wait for a second one would hold their first. */
  async #addLarge(to: Parameters<typeof add>[0], ids: readonly string[]): Promise<void> {
    await this.#large.take(1);
    try {
      for (const id of ids) add(to, await this.#readLarge(id, "whole"));
    } finally {
      this.#large.give(1);
    }
  }

  /** A commit that touches these objects begins. */
  touch(ids: Iterable<string>): void {
    for (const id of ids) {
      this.#touched.set(id, (this.#touched.get(id) ?? 0) + 1);
      this.#forget(id);
    }
  }

  /** It has ended, whatever its outcome. */
  release(ids: Iterable<string>): void {
    for (const id of ids) {
      const count = (this.#touched.get(id) ?? 1) - 1;
      if (count > 0) this.#touched.set(id, count);
      else this.#touched.delete(id);
      this.#forget(id);
    }
  }

  /** Forgets these: their rows are not what was written. */
  drop(ids: Iterable<string>): void {
    for (const id of ids) this.#forget(id);
  }

  /** Forgets all; keeps from now on only if this process is the one that writes, with no transaction of unknown outcome. */
  reset(keeping: boolean): void {
    this.#keeping = keeping;
    this.#kept.clear();
    this.#weight = 0;
    for (const pending of this.#pending.values()) pending.stale = true;
    this.#pending.clear();
  }

  #openKeyring(): Keyring {
    const keyring = this.#keyring();
    if (keyring.closed) throw new StoreError("noMasterKey", "the master key is not in memory; use another node");
    return keyring;
  }

  #recall(id: string): Reading | undefined {
    return this.#kept.get(id)?.reading;
  }

  #forget(id: string): void {
    this.#weight -= this.#kept.delete(id)?.weight ?? 0;
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    pending.stale = true;
    this.#pending.delete(id);
  }

  #ask(id: string): Promise<Reading> {
    const present = this.#pending.get(id);
    if (present !== undefined) return present.promise;
    const alone = !this.#keeping || this.#touched.has(id);
    const pending: Pending = { id, ...Promise.withResolvers<Reading>(), stale: alone };
    // Whoever asked may have failed by another reading before it awaits this one.
    pending.promise.catch(() => undefined);
    if (!alone) this.#pending.set(id, pending);
    this.#queue.push(pending);
    this.#schedule();
    return pending.promise;
  }

  /** After all requests that came with this turn of the event loop have asked. */
  #schedule(): void {
    if (this.#scheduled || this.#queries >= queriesMax || this.#queue.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const some = this.#queue.splice(0, batchMax);
      this.#queries += 1;
      void this.#run(some).finally(() => {
        this.#queries -= 1;
        this.#schedule();
      });
      this.#schedule();
    });
  }

  async #run(some: readonly Pending[]): Promise<void> {
    try {
      const ids = [...new Set(some.map(({ id }) => id))];
      const { objects, damaged, large } = await readObjects(this.#query, this.#keyring(), ids, small("whole"));
      const found = new Map<string, Reading>(objects.map((object) => [object.id, object]));
      for (const id of damaged) found.set(id, "damaged");
      for (const id of large) found.set(id, "large");
      for (const pending of some) this.#answer(pending, found.get(pending.id) ?? "absent");
    } catch (error) {
      for (const pending of some) {
        if (this.#pending.get(pending.id) === pending) this.#pending.delete(pending.id);
        pending.reject(error);
      }
    }
  }

  #answer(pending: Pending, reading: Reading): void {
    if (this.#pending.get(pending.id) === pending) this.#pending.delete(pending.id);
    if (!pending.stale && reading !== "damaged" && reading !== "large") this.#keep(pending.id, reading);
    pending.resolve(reading);
  }

  #keep(id: string, reading: ManagedObject | "absent"): void {
    const weight = reading === "absent" ? 64 : weightOf(reading);
    if (weight > objectCacheLimits.weightOfOne) return;
    const kept = { reading: reading === "absent" ? reading : compact(reading), weight };
    this.#weight += weight - (this.#kept.set(id, kept)?.weight ?? 0);
    while (this.#kept.size > objectCacheLimits.objects || this.#weight > objectCacheLimits.weight) {
      this.#weight -= this.#kept.shed()?.weight ?? 0;
    }
  }
}

function add(to: { objects: ManagedObject[]; damaged: string[] }, more: Found): void {
  to.objects.push(...more.objects);
  to.damaged.push(...more.damaged);
}

function inOrder(ids: readonly string[], objects: readonly ManagedObject[]): ManagedObject[] {
  const found = new Map(objects.map((object) => [object.id, object]));
  return ids.flatMap((id) => found.get(id) ?? []);
}

/** Bytes from the driver are a view into all that came with them, which would be kept too. */
function compact(object: ManagedObject): ManagedObject {
  if (object.sealed === undefined) return object;
  const sealed = Buffer.allocUnsafeSlow(object.sealed.length);
  object.sealed.copy(sealed);
  return { ...object, sealed };
}

function weightOf({ attributes, sealed }: ManagedObject): number {
  let weight = 256 + (sealed?.length ?? 0);
  for (const [name, instances] of attributes) weight += name.length + JSON.stringify(instances).length;
  return weight;
}
