import pg from "pg";
import type { Json, ManagedObject, ObjectFilter } from "../objects/types.ts";
import { StoreError } from "./error.ts";
import { isUuid } from "./operation.ts";

/** Most identifiers that one search returns; beyond it the search must be narrower. */
export const locateMax = 100_000;
/** Most objects that one call returns. */
export const objectsMax = 10_000;

type Query = (text: string, values: unknown[]) => Promise<readonly Record<string, unknown>[]>;

/** Reads objects by identifier, in the order asked; unknown ones are left out. */
export async function readObjects(query: Query, ids: readonly string[]): Promise<readonly ManagedObject[]> {
  if (ids.length > objectsMax) throw new StoreError("tooMany", `ask for at most ${objectsMax} objects at once`);
  const wanted = ids.filter(isUuid);
  if (wanted.length === 0) return [];
  const rows = await query(
    `select o.id, o.owner, o.object_type, o.facts, o.sealed,
       (select jsonb_object_agg(a.name, a.value) from keyfleet.attributes a where a.object = o.id and a.value is not null) as attributes
     from keyfleet.objects o where o.id = any($1::uuid[]) and o.owner is not null`,
    [wanted],
  );
  const found = new Map(rows.map((row) => [row.id as string, asObject(row)]));
  return wanted.flatMap((id) => found.get(id) ?? []);
}

/** Identifiers of the objects for which all of the filter holds, newest first. */
export async function locateObjects(query: Query, filter: ObjectFilter): Promise<readonly string[]> {
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
  if (filter.granted !== undefined) {
    // Numbers follow the statement, and ":" is behind all digits. The pattern is the index's own, so that it is used.
    conditions.push(
      `o.id in (select a.object from unnest(${bind(filter.granted)}::text[]) as g (statement) join keyfleet.attributes a
         on a.name >= '.grant ' || g.statement || ' ' and a.name < '.grant ' || g.statement || ' :' where a.name like '.grant Locate %')`,
    );
  }
  if (filter.objectType !== undefined) conditions.push(`o.object_type = ${bind(filter.objectType)}`);
  if (filter.withoutFacts !== undefined) conditions.push(`o.facts & ${bind(filter.withoutFacts)} = 0`);
  for (const [name, instance] of Object.entries(filter.attributes ?? {})) {
    // The name as a literal lets PostgreSQL use the index that is for one name only.
    conditions.push(
      `exists (select from keyfleet.attributes a where a.object = o.id and a.name = ${pg.escapeLiteral(name)}
         and a.value @> ${bind(JSON.stringify([instance]))}::jsonb)`,
    );
  }
  const rows = await query(
    `select o.id from keyfleet.objects o where ${conditions.join(" and ")}
     order by o.created_hlc desc, o.created_origin desc, o.id limit ${locateMax + 1}`,
    values,
  );
  if (rows.length > locateMax)
    throw new StoreError("tooMany", `more than ${locateMax} objects match; narrow the search`);
  return rows.map((row) => row.id as string);
}

function asObject(row: Record<string, unknown>): ManagedObject {
  const attributes = (row.attributes ?? {}) as Record<string, readonly Json[]>;
  return {
    id: row.id as string,
    owner: row.owner as string,
    objectType: row.object_type as number,
    facts: row.facts as number,
    attributes: new Map(Object.entries(attributes)),
    sealed: (row.sealed as Buffer | null) ?? undefined,
  };
}
