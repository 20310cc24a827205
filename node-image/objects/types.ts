/** A value as JSON has it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Lifecycle facts; only ever added, so their union is the same in any order (bad news always wins). */
export const fact = { activated: 1, deactivated: 2, compromised: 4, destroyed: 8 } as const;

/** A managed object as the store holds it. */
export interface ManagedObject {
  /** UUID, the KMIP Unique Identifier. */
  readonly id: string;
  /** Identity of the caller that made it. */
  readonly owner: string;
  /** KMIP enumeration Object Type (KMIP 1.4, 9.1.3.2.3). */
  readonly objectType: number;
  /** Union of `fact` bits. */
  readonly facts: number;
  /** KMIP attribute name → its instances, in index order. */
  readonly attributes: ReadonlyMap<string, readonly Json[]>;
  /** Key Block and the like, sealed by the keyring; absent once destroyed. */
  readonly sealed: Buffer | undefined;
}

/** An object without its material: all that a search needs of it. */
export type Description = Omit<ManagedObject, "sealed">;

/** One change of one object; becomes one operation of the log. */
export type Change =
  | {
      readonly kind: "create";
      readonly id: string;
      readonly owner: string;
      readonly objectType: number;
      readonly sealed: Buffer;
      readonly facts: number;
      readonly attributes: Readonly<Record<string, readonly Json[]>>;
    }
  /** Attributes: a list replaces all instances of the name (last writer wins a name), null removes it. */
  | {
      readonly kind: "change";
      readonly id: string;
      readonly facts: number;
      readonly attributes: Readonly<Record<string, readonly Json[] | null>>;
    };

/** What a search asks for; all of it must hold. */
export interface ObjectFilter {
  readonly owner: string | undefined;
  /** Searched besides what `owner` has; without meaning when that is undefined. */
  readonly also?: { readonly owners: readonly string[]; readonly ids: readonly string[] };
  /** Statements of which the object must have one as an internal row ".grant STATEMENT"; only for rights of Locate. */
  readonly granted?: readonly string[];
  readonly objectType?: number;
  /** `fact` bits of which the object must have none. A store may ignore it: who asks checks what comes. */
  readonly withoutFacts?: number;
  /** Attribute name → an instance that must be among its instances (whole value, or for objects the given members). */
  readonly attributes?: Readonly<Record<string, Json>>;
}

/** Objects that one search looks through, the newest. */
export const locateMax = 100_000;

/** Durable objects. Rejects with StoreError; nothing of a failed call stays. */
export interface Store {
  /**
   * UUID under which this node holds rights; what one node alone may write carries it. That of its log, and of those that
   * followed it without being known to have gone on elsewhere: see docs/replication.md.
   */
  readonly holder: string;
  /** Called with objects that other nodes changed, durable here, where a changed row's name begins with the marker. */
  onRemote(marker: string, listener: (ids: readonly string[]) => void): void;
  object(id: string): Promise<ManagedObject | undefined>;
  /** For few: all of them are in memory at once, with their material. */
  objects(ids: readonly string[]): Promise<readonly ManagedObject[]>;
  /**
   * The same without material, for however many: in pages, in the order asked. What all callers hold of them is bounded, so who
   * has a page keeps little of it, and waits for no other reading before it asks for the next or ends the iteration.
   */
  descriptions(ids: readonly string[]): AsyncIterable<readonly Description[]>;
  /**
   * Identifiers, newest first. More than `most` (`locateMax` unless said) say that there may be others, which are left out, and
   * that of those some may not satisfy the filter.
   */
  locate(filter: ObjectFilter, most?: number): Promise<readonly string[]>;
  /** All or nothing; resolves when durable here and as `durability` asks. The changes are the store's from now on: nobody writes to them. */
  write(changes: readonly Change[]): Promise<void>;
}
