import type { Keyring } from "../keys/types.ts";
import { satisfies } from "../objects/merge.ts";
import { type Json, locateMax, type ManagedObject, type ObjectFilter } from "../objects/types.ts";
import { StoreError } from "./error.ts";
import type { State } from "./law.ts";
import { isUuid } from "./operation.ts";
import { readable } from "./readable.ts";
import { checkMaterial, type Row, stateOf } from "./row.ts";

/** Most objects that one call returns. */
export const objectsMax = 10_000;
const pageSize = 1_000;

/** A query on a reading connection; one with a name is prepared once. */
export type Query = (text: string, values: unknown[]) => Promise<readonly Record<string, unknown>[]>;

/** What a reading found. */
export interface Found {
  readonly objects: readonly ManagedObject[];
  /** Identifiers of rows that cannot be read, or are not what a member of the fleet has written. */
  readonly damaged: readonly string[];
}

/** Reads objects by identifier, in the order asked, each checked against its MAC; unknown ones are left out. */
export async function readObjects(query: Query, keyring: Keyring, ids: readonly string[]): Promise<Found> {
  if (ids.length > objectsMax) throw new StoreError("tooMany", `ask for at most ${objectsMax} objects at once`);
  const wanted = ids.filter(isUuid);
  if (wanted.length === 0) return { objects: [], damaged: [] };
  const text = "select id, state, mac, sealed from keyfleet.objects where id = any($1::uuid[])";
  const damaged: string[] = [];
  const found = new Map<string, ManagedObject>();
  const { rows, unreadable } = await readable(wanted, (some) => query(text, [some]));
  damaged.push(...unreadable);
  for (const row of rows as unknown as StoredRow[]) {
    const object = checked(keyring, row);
    if (object === "damaged") damaged.push(row.id);
    else if (object !== undefined) found.set(row.id, object);
  }
  return { objects: wanted.flatMap((id) => found.get(id) ?? []), damaged };
}

interface StoredRow extends Row {
  readonly sealed: Buffer | null;
}

/** The object of a row; undefined while its create has not arrived. */
function checked(keyring: Keyring, row: StoredRow): ManagedObject | undefined | "damaged" {
  try {
    const state = stateOf(keyring, row);
    checkMaterial(row.id, state, row.sealed);
    return asObject(row, state);
  } catch (error) {
    if (error instanceof StoreError && error.code === "damaged") return "damaged";
    throw error;
  }
}

/**
 * Identifiers of the objects for which all of the filter holds, newest first; see `Store.locate`. What was found by an
 * attribute is compared once more with what is authenticated: the columns searched by are not.
 */
export async function locateObjects(
  query: Query,
  filter: ObjectFilter,
  objects: (ids: readonly string[]) => Promise<readonly ManagedObject[]>,
): Promise<readonly string[]> {
  const conditions = ["o.owner is not null"];
  const values: unknown[] = [];
  const bind = (value: unknown) => `$${values.push(value)}`;
  if (filter.owner !== undefined) {
    const owned = `o.owner = ${bind(filter.owner)}`;
    const { owners, ids } = filter.also ?? { owners: [], ids: [] };
    const more = owners.length + ids.length > 0;
    const also = more ? ` or o.owner = any(${bind(owners)}::text[]) or o.id = any(${bind(ids)}::uuid[])` : "";
    conditions.push(`(${owned}${also})`);
  }
  if (filter.granted !== undefined) conditions.push(`o.granted && ${bind(filter.granted)}::text[]`);
  if (filter.objectType !== undefined) conditions.push(`o.object_type = ${bind(filter.objectType)}`);
  if (filter.withoutFacts !== undefined) conditions.push(`o.facts & ${bind(filter.withoutFacts)} = 0`);
  for (const [name, instance] of Object.entries(filter.attributes ?? {})) {
    const instances = name === "Name" ? "o.names" : `o.state::jsonb->'attributes'->${bind(name)}->1`;
    conditions.push(`${instances} @> ${bind(JSON.stringify([instance]))}::jsonb`);
  }
  const rows = await query(
    `select o.id from keyfleet.objects o where ${conditions.join(" and ")}
     order by o.created_hlc desc, o.created_origin desc, o.id limit ${locateMax + 1}`,
    values,
  );
  const ids = rows.map((row) => row.id as string);
  if (filter.attributes === undefined) return ids;
  const found = await confirmed(ids, filter, objects);
  if (ids.length > locateMax && found.length <= locateMax)
    throw new StoreError("tooMany", `more than ${locateMax} objects match, some of them not truly; narrow the search`);
  return found;
}

/** Those of the identifiers whose objects satisfy the filter, by what is authenticated. */
export async function confirmed(
  ids: readonly string[],
  filter: ObjectFilter,
  objects: (ids: readonly string[]) => Promise<readonly ManagedObject[]>,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (let at = 0; at < ids.length; at += pageSize) {
    const page = await objects(ids.slice(at, at + pageSize));
    found.push(...page.filter((object) => satisfies(object, filter)).map(({ id }) => id));
  }
  return found;
}

function asObject({ id, sealed }: StoredRow, { born, facts, attributes }: State): ManagedObject | undefined {
  if (born === undefined) return undefined;
  const present = [...attributes].flatMap(([name, { value }]): [string, readonly Json[]][] =>
    value === null ? [] : [[name, value]],
  );
  const { owner, objectType } = born;
  return { id, owner, objectType, facts, attributes: new Map(present), sealed: sealed ?? undefined };
}
