import { createHash } from "node:crypto";
import type { Json } from "../objects/types.ts";

/**
 * Entitlements: statements like "Get user:CN=db2" (a right of a principal), "role administrator" or "group payments", kept
 * as rows among the attributes of an object or of a user. Each withdrawal has a tag of its own; granting lifts the
 * withdrawals that are known where it is done. A statement holds if it was granted and no withdrawal is left: so a
 * withdrawal beats every grant that was made without knowing of it, in any order of arrival, and different statements
 * never meet.
 */
export type Rows = ReadonlyMap<string, readonly Json[]>;

/** Rows to be written. */
export type RowChanges = Record<string, Json[]>;

const granted = ".grant ";
const withdrawn = ".withdrawn ";
const lifted = ".lifted ";
/** How often one statement can be withdrawn; each time leaves two rows. */
export const withdrawalsMax = 500;

/** Statements that hold at a time (seconds since 1970), with their ends; undefined is without end. */
export function heldStatements(rows: Rows, now: number): ReadonlyMap<string, number | undefined> {
  const held = new Map<string, number | undefined>();
  for (const [name, [value]] of rows) {
    const until = untilOf(value);
    if (name.startsWith(granted) && (until === undefined || until > now)) held.set(name.slice(granted.length), until);
  }
  for (const name of rows.keys()) {
    if (!name.startsWith(withdrawn)) continue;
    const key = name.slice(withdrawn.length);
    if (!rows.has(lifted + key)) held.delete(key.slice(0, key.lastIndexOf(" ")));
  }
  return held;
}

/** Whether one statement holds. */
export function holds(rows: Rows, statement: string, now: number): boolean {
  return heldStatements(rows, now).has(statement);
}

/** Rows that make a statement hold until a time; none if that is so already. Throws RangeError beyond `withdrawalsMax`. */
export function granting(rows: Rows, statement: string, until: number | undefined): RowChanges {
  const present = rows.get(granted + statement);
  const open = withdrawals(rows, statement);
  if (open.length === 0 && present !== undefined && untilOf(present[0]) === until) return {};
  if (open.length > 0 && tags(rows, `${withdrawn}${statement} `).length >= withdrawalsMax) {
    throw new RangeError(`"${statement}" was withdrawn ${withdrawalsMax} times`);
  }
  const lifts = open.map((tag): [string, Json[]] => [`${lifted}${statement} ${tag}`, [true]]);
  return { [granted + statement]: until === undefined ? [{}] : [{ until }], ...Object.fromEntries(lifts) };
}

/** The row that withdraws a statement; the tag must be used once only, and have no spaces. */
export function withdrawing(statement: string, tag: string): RowChanges {
  return { [`${withdrawn}${statement} ${tag}`]: [true] };
}

const suspension = "suspended";

/** The row that suspends a user. */
export function suspending(tag: string): RowChanges {
  return withdrawing(suspension, tag);
}

/** Rows that lift the suspensions that are known here. */
export function lifting(rows: Rows): RowChanges {
  return Object.fromEntries(withdrawals(rows, suspension).map((tag) => [`${lifted}${suspension} ${tag}`, [true]]));
}

/** Whether a user is suspended. */
export function isSuspended(rows: Rows): boolean {
  return withdrawals(rows, suspension).length > 0;
}

/** Tags of withdrawals that no grant has lifted. */
function withdrawals(rows: Rows, statement: string): string[] {
  return tags(rows, `${withdrawn}${statement} `).filter((tag) => !rows.has(`${lifted}${statement} ${tag}`));
}

function tags(rows: Rows, prefix: string): string[] {
  const found: string[] = [];
  for (const name of rows.keys()) {
    // A statement may be the beginning of another; tags have no spaces.
    if (name.startsWith(prefix) && !name.includes(" ", prefix.length)) found.push(name.slice(prefix.length));
  }
  return found;
}

function untilOf(value: Json | undefined): number | undefined {
  const until = (value as { until?: Json } | null | undefined)?.until;
  return typeof until === "number" ? until : undefined;
}

/** The one record of a user or group in the store: the same identifier on every node, so that two that make it make one. */
export function recordId(kind: "user" | "group" | "ticket" | "policy", name: string): string {
  const digest = createHash("sha256").update(`keyfleet access\0${kind}\0${name}`).digest("hex");
  // A UUID of version 8 (RFC 9562, 5.8).
  return [
    digest.slice(0, 8),
    digest.slice(8, 12),
    `8${digest.slice(13, 16)}`,
    `8${digest.slice(17, 20)}`,
    digest.slice(20, 32),
  ].join("-");
}
