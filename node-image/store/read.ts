import type { Keyring } from "../keys/types.ts";
import { satisfies } from "../objects/merge.ts";
import { type Description, type Json, locateMax, type ManagedObject, type ObjectFilter } from "../objects/types.ts";
import { StoreError } from "./error.ts";
import type { State } from "./law.ts";
import { isUuid } from "./operation.ts";
import { readable } from "./readable.ts";
import { checkDigest, checkMaterial, type Row, stateOf } from "./row.ts";

/** A query on a reading connection; one with a name is prepared once. */
export type Query = (text: string, values: unknown[]) => Promise<readonly Record<string, unknown>[]>;

/** See `Store.descriptions`. */
export type Descriptions = (ids: readonly string[]) => AsyncIterable<readonly Description[]>;

/** What a reading found. */
export interface Found {
  readonly objects: readonly ManagedObject[];
  /** Identifiers of rows that cannot be read, or are not what a member of the fleet has written. */
  readonly damaged: readonly string[];
}

/** What is read of a row, and how many bytes of that it may have: of larger ones only the identifier is told. */
export interface Reading {
  readonly part: "whole" | "description";
  readonly maxBytes: number;
}

/** PostgreSQL knows the size of what rests beside its table without reading it. A digest of the material is as good as the material here. */
const texts = {
  whole: textOf("octet_length(state) + coalesce(octet_length(sealed), 0)", "sealed"),
  description: textOf("octet_length(state)", "sha256(sealed)"),
} as const;

function textOf(size: string, material: string): string {
  const fits = `${size} <= $2`;
  return `select case when ${fits} then ${material} end as material, case when ${fits} then state end as state, id, mac
    from keyfleet.objects where id = any($1::uuid[])`;
}

/** Reads objects by identifier, in the order asked, each checked against its MAC; unknown ones are left out. */
export async function readObjects(
  query: Query,
  keyring: Keyring,
  ids: readonly string[],
  { part, maxBytes }: Reading,
): Promise<Found & { readonly large: readonly string[]; readonly bytes: number }> {
  const wanted = ids.filter(isUuid);
  if (wanted.length === 0) return { objects: [], damaged: [], large: [], bytes: 0 };
  const found = new Map<string, ManagedObject>();
  const { rows, unreadable } = await readable(wanted, (some) => query(texts[part], [some, maxBytes]));
  const damaged = [...unreadable];
  const large: string[] = [];
  let bytes = 0;
  for (const row of rows as unknown as (StoredRow | LargeRow)[]) {
    if (row.state === null) large.push(row.id);
    else {
      bytes += row.state.length + (row.material?.length ?? 0);
      const object = checked(keyring, row, part);
      if (object === "damaged") damaged.push(row.id);
      else if (object !== undefined) found.set(row.id, object);
    }
  }
  return { objects: wanted.flatMap((id) => found.get(id) ?? []), damaged, large, bytes };
}

interface StoredRow extends Row {
  /** Sealed, or its digest. */
  readonly material: Buffer | null;
}

interface LargeRow {
  readonly id: string;
  readonly state: null;
}

/** The object of a row; undefined while its create has not arrived. */
function checked(keyring: Keyring, row: StoredRow, part: Reading["part"]): ManagedObject | undefined | "damaged" {
  try {
    const state = stateOf(keyring, row);
    if (part === "whole") checkMaterial(row.id, state, row.material);
    else checkDigest(row.id, state, row.material?.toString("base64"));
    return asObject(row.id, state, part === "whole" ? row.material : null);
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
  descriptions: Descriptions,
  most = locateMax,
): Promise<readonly string[]> {
  const { conditions, values } = conditionsOf(filter);
  const rows = await query(
    `select o.id from keyfleet.objects o where ${conditions.join(" and ")}
     order by o.created_hlc desc, o.created_origin desc, o.id limit ${most + 1}`,
    values,
  );
  const ids = rows.map((row) => row.id as string);
  // Who asks for a few of more looks again, or at none of them.
  if (filter.attributes === undefined || (most < locateMax && ids.length > most)) return ids;
  const found = await confirmed(ids, filter, descriptions);
  if (ids.length > locateMax && found.length <= locateMax)
    throw new StoreError("tooMany", `more than ${locateMax} objects match, some of them not truly; narrow the search`);
  return found;
}

/** The filter in SQL, and what its parameters stand for. */
function conditionsOf(filter: ObjectFilter) {
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
  return { conditions, values };
}

/** Those of the identifiers whose objects satisfy the filter, by what is authenticated. */
export async function confirmed(
  ids: readonly string[],
  filter: ObjectFilter,
  descriptions: Descriptions,
): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const page of descriptions(ids))
    found.push(...page.filter((object) => satisfies(object, filter)).map(({ id }) => id));
  return found;
}

function asObject(id: string, { born, facts, attributes }: State, sealed: Buffer | null): ManagedObject | undefined {
  if (born === undefined) return undefined;
  const present = [...attributes].flatMap(([name, { value }]): [string, readonly Json[]][] =>
    value === null ? [] : [[name, value]],
  );
  const { owner, objectType } = born;
  return { id, owner, objectType, facts, attributes: new Map(present), sealed: sealed ?? undefined };
}
