import type { Json } from "./types.ts";

/**
 * A counter that a fleet shares without ever exceeding its total, whatever is cut off from whatever: units are rights, each
 * held by one node. A node spends only rights that it holds, and hands rights to another in an entry that it alone writes.
 */
export interface UsageEntry {
  /** Units that this node brought into being: the total that its client asked for. */
  readonly minted: number;
  /** Units that this node took out of being: the total was lowered. */
  readonly burnt: number;
  /** Units that were used here. */
  readonly used: number;
  /** Units that this node would like to have been given in all. */
  readonly wanted: number;
  /** Units that this node gave away, by receiver. */
  readonly given: Readonly<Record<string, number>>;
}

/** Entries by the node (incarnation) that writes each. Every number only ever grows. */
export type UsageLedger = ReadonlyMap<string, UsageEntry>;

const untouched: UsageEntry = { minted: 0, burnt: 0, used: 0, wanted: 0, given: {} };

/** Largest total: numbers of the ledger are exact. */
export const usageTotalMax = Number.MAX_SAFE_INTEGER;

/** The entry of one node; of a node that has written none, nothing but zeros. */
export function entryOf(ledger: UsageLedger, node: string): UsageEntry {
  return ledger.get(node) ?? untouched;
}

/** Units that were given to the node, as far as is known here. */
export function received(ledger: UsageLedger, node: string): number {
  return sum(ledger, (entry) => (Object.hasOwn(entry.given, node) ? (entry.given[node] as number) : 0));
}

/** Rights that the node holds. For the own node it may be more than what is known here, never less. */
export function rightsOf(ledger: UsageLedger, node: string): number {
  const { minted, burnt, used, given } = entryOf(ledger, node);
  return minted + received(ledger, node) - burnt - used - Object.values(given).reduce((all, each) => all + each, 0);
}

/** The total as it is known here. */
export function totalOf(ledger: UsageLedger): number {
  return sum(ledger, ({ minted, burnt }) => minted - burnt);
}

/** Units that were used anywhere, as far as is known here. */
export function usedOf(ledger: UsageLedger): number {
  return sum(ledger, ({ used }) => used);
}

/** Units that a node asked for and was not given yet. */
export function deficitOf(ledger: UsageLedger, node: string): number {
  return Math.max(0, entryOf(ledger, node).wanted - received(ledger, node));
}

/** The own entry after using units; undefined when the node does not hold so many rights. */
export function spend(ledger: UsageLedger, own: string, units: number): UsageEntry | undefined {
  if (rightsOf(ledger, own) < units) return undefined;
  const entry = entryOf(ledger, own);
  return { ...entry, used: entry.used + units };
}

/** The own entry after asking for the units that are missing, and for a reserve so that not each use has to ask. */
export function ask(ledger: UsageLedger, own: string, units: number): UsageEntry {
  const missing = Math.max(0, units - rightsOf(ledger, own));
  const reserve = Math.floor(totalOf(ledger) / 64);
  const wanted = received(ledger, own) + missing + reserve;
  const entry = entryOf(ledger, own);
  // Also written when it is nothing new: then whoever did not hear of it before hears of it now.
  return { ...entry, wanted: Math.max(wanted, entry.wanted) };
}

/** The own entry after giving what others ask for, as far as the own rights go; undefined when there is nothing to give. */
export function give(ledger: UsageLedger, own: string): UsageEntry | undefined {
  let left = rightsOf(ledger, own);
  const entry = entryOf(ledger, own);
  const given: Record<string, number> = { ...entry.given };
  for (const node of [...ledger.keys()].sort()) {
    const units = node === own ? 0 : Math.min(left, deficitOf(ledger, node));
    if (units <= 0) continue;
    given[node] = (Object.hasOwn(given, node) ? (given[node] as number) : 0) + units;
    left -= units;
  }
  return left === rightsOf(ledger, own) ? undefined : { ...entry, given };
}

/** The own entry after the total was set anew; undefined when it is lowered by more rights than this node holds. */
export function retotal(ledger: UsageLedger, own: string, total: number): UsageEntry | undefined {
  const entry = entryOf(ledger, own);
  const more = total - totalOf(ledger);
  if (more >= 0) return { ...entry, minted: entry.minted + more };
  return rightsOf(ledger, own) < -more ? undefined : { ...entry, burnt: entry.burnt - more };
}

/** What the attribute Usage Limits holds (3.21), with the epoch that its ledger's rows carry. */
export interface UsageLimits {
  readonly usageLimitsTotal: number;
  readonly usageLimitsUnit: number;
  readonly epoch: string;
}

/** The limits of an object, if it has any. */
export function usageLimitsOf(object: { readonly attributes: UsageRows }): UsageLimits | undefined {
  return object.attributes.get("Usage Limits")?.[0] as unknown as UsageLimits | undefined;
}

/** Rows of an object. */
export type UsageRows = ReadonlyMap<string, readonly Json[]>;

/** The attribute as clients see it: total and what is left of it, as far as is known here. */
export function visibleUsageLimits({ attributes }: { readonly attributes: UsageRows }, limits: UsageLimits): Json {
  const ledger = ledgerOf(attributes, limits.epoch);
  const total = totalOf(ledger);
  const left = Math.max(0, total - usedOf(ledger));
  return { usageLimitsTotal: total, usageLimitsCount: left, usageLimitsUnit: limits.usageLimitsUnit };
}

/** The entry of the node that makes a counter, of which so much is left. */
export function firstEntry(total: number, left = total): UsageEntry {
  return { ...untouched, minted: total, used: total - left };
}

const prefix = ".usage ";

/** Name of the internal row of an entry. A counter has an epoch: one that is deleted and made again starts anew. */
export function usageRow(epoch: string, node: string): string {
  return `${prefix}${epoch} ${node}`;
}

/** The ledger among the rows of an object. */
export function ledgerOf(rows: UsageRows, epoch: string): UsageLedger {
  const start = usageRow(epoch, "");
  const own = [...rows].filter(([name]) => name.startsWith(start));
  return new Map(own.map(([name, [value]]) => [name.slice(start.length), value as unknown as UsageEntry]));
}

/** An entry as its row holds it. */
export function usageValue(entry: UsageEntry): Json[] {
  return [{ ...entry }];
}

function sum(ledger: UsageLedger, of: (entry: UsageEntry) => number): number {
  let all = 0;
  for (const entry of ledger.values()) all += of(entry);
  return all;
}
