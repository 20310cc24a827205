import { createHash } from "node:crypto";
import type { Json } from "../objects/types.ts";

/**
 * Entitlements: statements like "Get user:CN=db2" (a right of a principal), "role administrator" or "group payments",
 * kept as rows among the attributes of an object or of a user. Each statement is granted by number and withdrawn by number;
 * a withdrawal is for good, granting again takes the next number. So a withdrawal beats every grant that was made
 * without knowing of it, in any order of arrival, and nothing is lost when different statements change at once.
 */
export type Rows = ReadonlyMap<string, readonly Json[]>;

/** Rows to be written. */
export type RowChanges = Record<string, Json[]>;

const granted = ".grant ";
const withdrawn = ".withdrawn ";
/** How often one statement can be withdrawn and granted again; each time leaves two rows. */
export const grantsMax = 500;

/** Row names that begin so belong to the server and are never shown, searched or copied as attributes. */
export const internalPrefix = ".";

/** Statements that hold at a time (seconds since 1970), with their ends; undefined is without end. */
export function heldStatements(rows: Rows, now: number): ReadonlyMap<string, number | undefined> {
  const held = new Map<string, number | undefined>();
  for (const [name, [value]] of rows) {
    if (!name.startsWith(granted)) continue;
    const key = name.slice(granted.length);
    const until = untilOf(value);
    if (rows.has(withdrawn + key) || (until !== undefined && until <= now)) continue;
    held.set(key.slice(0, key.lastIndexOf(" ")), until);
  }
  return held;
}

/** Whether one statement holds. */
export function holds(rows: Rows, statement: string, now: number): boolean {
  return heldStatements(rows, now).has(statement);
}

/** Rows that make a statement hold until a time, and in no other way; none if that is so already. Throws RangeError beyond `grantsMax`. */
export function granting(rows: Rows, statement: string, until: number | undefined): RowChanges {
  const open = openNumbers(rows, statement);
  if (open.length === 1 && untilOf(rows.get(row(granted, statement, open[0] as number))?.[0]) === until) return {};
  const number = Math.max(0, ...numbers(rows, statement)) + 1;
  if (number > grantsMax) throw new RangeError(`"${statement}" was granted ${grantsMax} times`);
  return {
    ...withdrawing(rows, statement),
    [row(granted, statement, number)]: until === undefined ? [{}] : [{ until }],
  };
}

/** Rows that withdraw a statement; none if it is not granted. */
export function withdrawing(rows: Rows, statement: string): RowChanges {
  return Object.fromEntries(openNumbers(rows, statement).map((number) => [row(withdrawn, statement, number), [true]]));
}

/** A suspension is bad news: each has a tag of its own, and lifting it lifts those that are known and no other. */
export function suspending(tag: string): RowChanges {
  return { [`.suspended ${tag}`]: [true] };
}

/** Rows that lift the suspensions that are known here. */
export function lifting(rows: Rows): RowChanges {
  return Object.fromEntries(suspensions(rows).map((tag) => [`.lifted ${tag}`, [true]]));
}

/** Whether a user is suspended. */
export function isSuspended(rows: Rows): boolean {
  return suspensions(rows).length > 0;
}

function suspensions(rows: Rows): string[] {
  const tags = [...rows.keys()].filter((name) => name.startsWith(".suspended ")).map((name) => name.slice(11));
  return tags.filter((tag) => !rows.has(`.lifted ${tag}`));
}

function openNumbers(rows: Rows, statement: string): number[] {
  return numbers(rows, statement).filter((number) => !rows.has(row(withdrawn, statement, number)));
}

/** Numbers that were granted. A withdrawal without its grant has not come yet, but its number is taken. */
function numbers(rows: Rows, statement: string): number[] {
  const found = new Set<number>();
  for (const kind of [granted, withdrawn]) {
    const prefix = `${kind}${statement} `;
    for (const name of rows.keys()) if (name.startsWith(prefix)) found.add(Number(name.slice(prefix.length)));
  }
  return [...found].filter(Number.isSafeInteger);
}

function row(kind: string, statement: string, number: number): string {
  return `${kind}${statement} ${number}`;
}

function untilOf(value: Json | undefined): number | undefined {
  const until = (value as { until?: Json } | null | undefined)?.until;
  return typeof until === "number" ? until : undefined;
}

/** The one record of a user or group in the store: the same identifier on every node, so that two that make it make one. */
export function recordId(kind: "user" | "group" | "ticket", name: string): string {
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
