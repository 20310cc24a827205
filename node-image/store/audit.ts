import { isDeepStrictEqual } from "node:util";
import type pg from "pg";
import type { Keyring } from "../keys/types.ts";
import { grantedStatements } from "../objects/merge.ts";
import { StoreError } from "./error.ts";
import { Findings } from "./findings.ts";
import type { State } from "./law.ts";
import { auditLog } from "./log-audit.ts";
import { verified } from "./operation.ts";
import { beforeAll, objectsBehind, operationsIn } from "./pages.ts";
import { Root } from "./root.ts";
import { checkMaterial, leafOf, type Row, stateOf } from "./row.ts";
import { slices } from "./slices.ts";
import type { Vector } from "./types.ts";

/** Objects of one query, operations of another. */
const rowsMax = { objects: 100, kept: 1_000 } as const;

/** What an audit came to. */
export interface Audit {
  readonly objects: number;
  readonly operations: number;
  /** Objects whose rows are not what was written. */
  readonly damagedObjects: readonly string[];
  /** Whether the rows as a whole are not the ones that were written: some are missing, or older than they must be. */
  readonly whole: boolean;
  /** Everything that is wrong, in words; `findingsTotal` counts those too that are not told. */
  readonly findings: readonly string[];
  readonly findingsTotal: number;
}

/**
 * Checks the whole store in one snapshot of the database, whoever writes it: every row against its MAC, the search columns
 * against the rows, all rows against the root, every operation, the gapless chain of each origin, and that the state is the
 * merge of the log.
 */
export async function audit(client: pg.Client, keyring: Keyring): Promise<Audit> {
  await client.query("begin isolation level repeatable read read only");
  try {
    const vector = await vectorIn(client);
    const findings = new Findings();
    const empty = Root.fresh();
    const root = await rootFound(client, { keyring, vector, findings, empty });
    const sum = (root ?? empty).copy("empty");
    const { objects, damagedObjects } = await auditRows(client, { keyring, findings, sum });
    await auditKept(client, { keyring, findings, sum });
    const whole = isWhole({ root, sum, findings });
    const operations = await auditLog(client, { keyring, findings });
    return { objects, operations, damagedObjects, whole, findings: findings.texts, findingsTotal: findings.total };
  } finally {
    await client.query("rollback");
  }
}

/** How far the logs go, as the database has it. */
export async function vectorIn(client: pg.Client): Promise<Vector> {
  const { rows } = await client.query("select origin, seq from keyfleet.vector");
  return new Map(rows.map((row) => [row.origin, Number(row.seq)]));
}

/** Whether the rows together are those that the root sums up. */
export function isWhole(of: {
  readonly root: Root | undefined;
  readonly sum: Root;
  readonly findings: Findings;
}): boolean {
  if (of.root === undefined) return false;
  const whole = of.sum.equals(of.root);
  if (!whole)
    of.findings.add("the rows together are not the ones written last: some are missing, or older than they must be");
  return whole;
}

/** The root of the database; undefined, and a finding (`openRoot` refuses instead), when it is not the one of this vector. `empty`: what a store has in which nothing was ever written. */
export async function rootFound(
  client: pg.Client,
  parts: { readonly keyring: Keyring; readonly vector: Vector; readonly findings: Findings; readonly empty: Root },
): Promise<Root | undefined> {
  const { keyring, vector, findings, empty } = parts;
  const { rows } = await client.query("select sealed from keyfleet.root");
  try {
    if (rows[0] !== undefined) return Root.open(keyring, rows[0].sealed, vector);
    // The first write makes it; a node may be founded, or join an empty fleet, long before.
    if (vector.size === 0) return empty;
    findings.add("the root is missing");
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== "damaged") throw error;
    findings.add(`root: ${error.message}`);
  }
  return undefined;
}

/** What rows are checked by, where what is wrong is told, and where they are summed up. */
export interface Checking {
  readonly keyring: Keyring;
  readonly findings: Findings;
  readonly sum: Root;
}

async function auditRows(
  client: pg.Client,
  checking: Checking,
): Promise<{ readonly objects: number; readonly damagedObjects: readonly string[] }> {
  const damagedObjects: string[] = [];
  let objects = 0;
  for (let after = beforeAll; ; ) {
    const rows = await pageBehind(client, after);
    damagedObjects.push(...(await checkRows(rows, checking)));
    objects += rows.length;
    const last = rows.at(-1);
    if (last === undefined) return { objects, damagedObjects };
    after = last.id;
  }
}

/** The next objects in the order of their identifiers; none behind the last. */
export async function pageBehind(client: pg.Client, id: string): Promise<readonly StoredRow[]> {
  return (await client.query(objectsBehind("keyfleet.objects", [id], rowsMax.objects))).rows;
}

/** Sums the rows up and checks each by itself; resolves with the identifiers of those that are not what was written. */
export async function checkRows(
  rows: readonly StoredRow[],
  { keyring, findings, sum }: Checking,
): Promise<readonly string[]> {
  const damaged: string[] = [];
  for await (const slice of slices(rows))
    for (const row of slice) {
      sum.toggle(leafOf(sum, row));
      const problem = problemOf(keyring, row);
      if (problem === undefined) continue;
      damaged.push(row.id);
      findings.add(problem);
    }
  return damaged;
}

/** An object as it rests in the database, with the columns that it is searched by. */
export interface StoredRow extends Row {
  readonly sealed: Buffer | null;
  readonly owner: string | null;
  readonly object_type: number | null;
  readonly facts: number;
  readonly created_hlc: string | null;
  readonly created_origin: string | null;
  readonly names: unknown;
  readonly granted: readonly string[] | null;
}

function problemOf(keyring: Keyring, row: StoredRow): string | undefined {
  try {
    const state = stateOf(keyring, row);
    checkMaterial(row.id, state, row.sealed);
    const column = differing(row, state);
    return column === undefined
      ? undefined
      : `object ${row.id} is not found as it should be: column ${column} was changed`;
  } catch (error) {
    if (error instanceof StoreError) return error.message;
    throw error;
  }
}

/** The first search column that does not repeat the state. */
function differing(row: StoredRow, { born, facts, attributes }: State): string | undefined {
  const statements = grantedStatements({ attributes });
  const wanted: Readonly<Record<string, unknown>> = {
    owner: born?.owner ?? null,
    object_type: born?.objectType ?? null,
    facts,
    created_hlc: born?.stamp.hlc ?? null,
    created_origin: born?.stamp.origin ?? null,
    names: attributes.get("Name")?.value ?? null,
    granted: statements.length === 0 ? null : statements,
  };
  const found = { ...row, granted: row.granted?.toSorted() ?? null } as Readonly<Record<string, unknown>>;
  return Object.keys(wanted).find((column) => !isDeepStrictEqual(found[column], wanted[column]));
}

/** The same of what is kept for later. */
export async function auditKept(client: pg.Client, { keyring, findings, sum }: Checking): Promise<void> {
  for await (const operations of operationsIn(client, "keyfleet.kept", rowsMax.kept))
    for (const operation of operations) {
      sum.toggle(sum.leaf("kept", operation.mac));
      if (!verified(keyring, operation))
        findings.add(`operation ${operation.seq} of ${operation.origin}, kept for later, was changed`);
    }
}
