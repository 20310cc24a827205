import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type pg from "pg";
import type { Keyring } from "../keys/types.ts";
import { grantedStatements } from "../objects/merge.ts";
import { StoreError } from "./error.ts";
import { Findings } from "./findings.ts";
import type { State } from "./law.ts";
import { auditLog } from "./log-audit.ts";
import { asOperation, verified } from "./operation.ts";
import { Root } from "./root.ts";
import { checkMaterial, leafOf, type Row, stateOf } from "./row.ts";
import type { Vector } from "./types.ts";

/** Rows of one query. */
const pageSize = 100;
/** Rows that are checked at once, about a millisecond; between them clients have their turn. */
const sliceSize = 20;

/** How an audit is done. */
export interface AuditOptions {
  /** The log too. */
  readonly log: boolean;
  /** Rest after each page, so that clients are served meanwhile; default none. */
  readonly restMs?: number;
}

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
 * Checks the whole store in one snapshot of the database, beside its writer: every row against its MAC, the search columns
 * against the rows, all rows against the root; with `log` also every operation, the gapless chain of each origin, and that
 * the state is the merge of the log.
 */
export async function audit(client: pg.Client, keyring: Keyring, options: AuditOptions): Promise<Audit> {
  await client.query("begin isolation level repeatable read read only");
  try {
    const { rows } = await client.query("select origin, seq from keyfleet.vector");
    const vector: Vector = new Map(rows.map((row) => [row.origin, Number(row.seq)]));
    const findings = new Findings();
    const root = await openRoot(client, { keyring, vector, findings });
    const sum = (root ?? Root.fresh()).copy("empty");
    const { objects, damagedObjects } = await auditRows(client, {
      keyring,
      findings,
      sum,
      restMs: options.restMs ?? 0,
    });
    await auditKept(client, { keyring, findings, sum });
    const whole = root !== undefined && sum.equals(root);
    if (root !== undefined && !whole)
      findings.add("the rows together are not the ones written last: some are missing, or older than they must be");
    const operations = options.log ? await auditLog(client, { keyring, findings }) : 0;
    return { objects, operations, damagedObjects, whole, findings: findings.texts, findingsTotal: findings.total };
  } finally {
    await client.query("rollback");
  }
}

async function openRoot(
  client: pg.Client,
  parts: { readonly keyring: Keyring; readonly vector: Vector; readonly findings: Findings },
): Promise<Root | undefined> {
  const { keyring, vector, findings } = parts;
  const { rows } = await client.query("select sealed from keyfleet.root");
  try {
    if (rows[0] !== undefined) return Root.open(keyring, rows[0].sealed, vector);
    // The first write makes it; a node may be founded, or join an empty fleet, long before.
    if (vector.size === 0) return Root.fresh();
    findings.add("the root is missing");
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== "damaged") throw error;
    findings.add(`root: ${error.message}`);
  }
  return undefined;
}

interface Checking {
  readonly keyring: Keyring;
  readonly findings: Findings;
  readonly sum: Root;
}

async function auditRows(
  client: pg.Client,
  { keyring, findings, sum, restMs }: Checking & { readonly restMs: number },
): Promise<{ readonly objects: number; readonly damagedObjects: readonly string[] }> {
  const damagedObjects: string[] = [];
  let objects = 0;
  let after = "00000000-0000-0000-0000-000000000000";
  for (;;) {
    const { rows } = await client.query(
      `select * from keyfleet.objects where id > $1::uuid order by id limit ${pageSize}`,
      [after],
    );
    for (const [at, row] of (rows as StoredRow[]).entries()) {
      if (at > 0 && at % sliceSize === 0) await turn();
      sum.toggle(leafOf(sum, row));
      const problem = problemOf(keyring, row);
      if (problem === undefined) continue;
      damagedObjects.push(row.id);
      findings.add(problem);
    }
    objects += rows.length;
    const last = rows.at(-1);
    if (last === undefined) return { objects, damagedObjects };
    after = last.id;
    if (restMs > 0) await delay(restMs);
  }
}

interface StoredRow extends Row {
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

async function auditKept(client: pg.Client, { keyring, findings, sum }: Checking): Promise<void> {
  let after = { origin: "00000000-0000-0000-0000-000000000000", seq: "0" };
  for (;;) {
    const { rows } = await client.query(
      `select * from keyfleet.kept where (origin, seq) > ($1::uuid, $2::bigint) order by origin, seq limit ${pageSize}`,
      [after.origin, after.seq],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    for (const operation of rows.map(asOperation)) {
      sum.toggle(sum.leaf("kept", operation.mac));
      if (!verified(keyring, operation))
        findings.add(`operation ${operation.seq} of ${operation.origin}, kept for later, was changed`);
    }
    after = { origin: last.origin, seq: last.seq };
  }
}
