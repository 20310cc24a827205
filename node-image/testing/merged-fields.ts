import {
  granting,
  heldStatements,
  isSuspended,
  lifting,
  type RowChanges,
  type Rows,
  recordId,
  suspending,
  withdrawing,
} from "../access/entitlement.ts";
import { recordOwner } from "../access/standing.ts";
import { claimRows, holderOf, suffixed } from "../objects/names.ts";
import { type Change, fact, type Json, type ManagedObject } from "../objects/types.ts";
import {
  ask,
  firstEntry,
  give,
  ledgerOf,
  retotal,
  rightsOf,
  spend,
  totalOf,
  type UsageEntry,
  usageRow,
  usageValue,
  usedOf,
} from "../objects/usage-ledger.ts";
import { recordChange } from "../operations/records.ts";
import { compareStamps, type Stamp, type State } from "../store/law.ts";

/** One change in a log, and what its maker had heard before. */
export interface Said {
  readonly stamp: Stamp;
  readonly change: Change;
  readonly heard: ReadonlySet<Said>;
}

/** An object as the merge left it. */
export interface Merged {
  readonly state: State;
  readonly material: Buffer | null;
}

/** What a node knows when it makes a change. */
export interface Maker {
  readonly node: string;
  readonly objects: ReadonlyMap<string, State>;
  readonly random: (below: number) => number;
  /** Of the maker's machine, which may be wrong. */
  readonly nowMs: number;
  /** Never the same twice. */
  readonly tag: string;
}

/** A field of the table in docs/replication.md: how nodes change it, and what must come of it. */
export interface Field {
  /** As a node makes it that knows no more than this; undefined: it makes none now. */
  readonly change: (maker: Maker) => Change | undefined;
  /** What is read of it once all is merged. */
  readonly read: (objects: ReadonlyMap<string, Merged>) => unknown;
  /** The same by the law in words, from the log alone. */
  readonly law: (log: readonly Said[]) => unknown;
  /** Changes are of a kind that not every node knows. */
  readonly newer?: true;
}

const id = "11111111-1111-4111-8111-111111111111";

function create(maker: Maker, attributes: Record<string, Json[]> = {}, of = id): Change {
  const { node, random } = maker;
  const sealed = Buffer.from(`${node} ${maker.tag}`);
  return { kind: "create", id: of, owner: `CN=${node}`, objectType: 1 + random(8), sealed, facts: 0, attributes };
}

function changing(attributes: Record<string, Json[] | null>, { facts = 0, of = id } = {}): Change {
  return { kind: "change", id: of, facts, attributes };
}

/** The object is made first, by each node that has not heard of it. */
function onObject(change: (maker: Maker) => Change | undefined): Field["change"] {
  return (maker) => (maker.objects.get(id)?.born === undefined ? create(maker) : change(maker));
}

/** Rows on one object, none when there is nothing to say. */
function onRows(rowsFor: (rows: Rows, maker: Maker) => RowChanges): Field["change"] {
  return onObject((maker) => {
    const rows = rowsFor(valuesOf(maker.objects.get(id)), maker);
    return Object.keys(rows).length === 0 ? undefined : changing(rows);
  });
}

function valuesOf(state: State | undefined): Map<string, readonly Json[]> {
  return new Map(
    [...(state?.attributes ?? [])].flatMap(([name, { value }]) => (value === null ? [] : [[name, value]])),
  );
}

function rowsIn(objects: ReadonlyMap<string, Merged>, of = id): Rows {
  return valuesOf(objects.get(of)?.state);
}

/** What the latest change that names it says of an attribute; undefined when none does. */
function lastOf(log: readonly Said[], name: string, of = id): readonly Json[] | null | undefined {
  const naming = log.filter(({ change }) => change.id === of && Object.hasOwn(change.attributes, name));
  return naming.sort(byStamp).at(-1)?.change.attributes[name];
}

function byStamp(one: Said, other: Said): number {
  return compareStamps(one.stamp, other.stamp);
}

function earliestCreate(log: readonly Said[]): Said | undefined {
  return log.filter(({ change }) => change.kind === "create").sort(byStamp)[0];
}

const isGone = (log: readonly Said[], of = id) =>
  log.some(({ change }) => change.id === of && (change.facts & fact.destroyed) !== 0);

const notes = ["x-0", "x-1", "x-2"];
const note = ({ random, tag }: Maker) => changing({ [`x-${random(3)}`]: random(4) === 0 ? null : [tag] });
const readNotes: Field["read"] = (objects) => notes.map((name) => rowsIn(objects).get(name) ?? null);
const lastNotes: Field["law"] = (log) => notes.map((name) => lastOf(log, name) ?? null);

const statements = ["Get user:CN=a,issuer(CN=c)", "Get user:CN=a", "group payments", "role auditor"];

/** Grants and withdrawals of these; with one of these ends, in seconds. */
function entitling(some: readonly string[], ends: readonly (number | undefined)[]): Field["change"] {
  return onRows((rows, { random, tag }) => {
    const statement = some[random(some.length)] as string;
    return random(3) === 0 ? withdrawing(statement, tag) : granting(rows, statement, ends[random(ends.length)]);
  });
}

const says = ({ change }: Said, prefix: string) =>
  Object.keys(change.attributes).some((name) => name.startsWith(prefix));

/** Statements of which each withdrawal was known to whoever granted them later, with the end that was said last. */
function heldBy(log: readonly Said[], some: readonly string[]): unknown {
  return some.flatMap((statement) => {
    // Granting again what holds, with the same end, says nothing; lifting always says the grant too.
    const grants = log.filter(({ change }) => Object.hasOwn(change.attributes, `.grant ${statement}`));
    const withdrawals = log.filter((said) => isWithdrawal(said, statement));
    if (grants.length === 0 || !withdrawals.every((said) => grants.some(({ heard }) => heard.has(said)))) return [];
    const [last] = lastOf(log, `.grant ${statement}`) as [{ until?: number }];
    return [[statement, last.until ?? null]];
  });
}

function isWithdrawal({ change }: Said, statement: string): boolean {
  const prefix = `.withdrawn ${statement} `;
  return Object.keys(change.attributes).some((name) => name.startsWith(prefix) && !name.includes(" ", prefix.length));
}

const heldIn = (rows: Rows, some: readonly string[]) => {
  const held = heldStatements(rows, 0);
  return some.flatMap((statement) => (held.has(statement) ? [[statement, held.get(statement) ?? null]] : []));
};

const named = ["a", "b"].map((nameValue): Json => ({ nameValue, nameType: 1 }));
const owners = ["CN=one", "CN=two"];

function asObject([of, state]: readonly [string, State]): ManagedObject[] {
  if (state.born === undefined) return [];
  const { owner, objectType } = state.born;
  return [{ id: of, owner, objectType, facts: state.facts, attributes: valuesOf(state), sealed: undefined }];
}

/** As operations/names.ts has it: a name that an owner's other living object claims, as far as is known here, is not given. */
function naming(maker: Maker): Change | undefined {
  const { objects, random, tag, nowMs } = maker;
  const known = [...objects].flatMap(asObject);
  const one = known[random(known.length)];
  if (one !== undefined && random(4) === 0) return changing({}, { facts: fact.destroyed, of: one.id });
  const name = named[random(named.length)] as Json;
  const renamed = one !== undefined && random(2) === 0 ? one : undefined;
  const owner = renamed?.owner ?? (owners[random(owners.length)] as string);
  const others = known.filter((each) => each.owner === owner && each.id !== renamed?.id);
  if (holderOf(name, others) !== undefined) return undefined;
  const rows = { Name: [name], ...claimRows([name], nowMs) };
  if (renamed !== undefined) return changing(rows, { of: renamed.id });
  return { ...create(maker, rows, recordId("user", tag)), owner } as Change;
}

/** Who holds each name of each owner; and that no two objects of one go by the same. */
const readNames: Field["read"] = (merged) => {
  const all = [...merged].flatMap(([of, { state }]) => asObject([of, state]));
  return owners.map((owner) => {
    const objects = all.filter((each) => each.owner === owner);
    const living = objects.filter(({ facts }) => (facts & fact.destroyed) === 0);
    const shown = living.flatMap((each) =>
      (each.attributes.get("Name") ?? []).map((name) =>
        JSON.stringify(holderOf(name, objects) === each.id ? name : suffixed(name, each.id)),
      ),
    );
    const holders = named.map((name) => holderOf(name, objects) ?? null);
    return { owner, holders, ambiguous: shown.length - new Set(shown).size };
  });
};

const lawOfNames: Field["law"] = (log) => {
  const creates = log.filter(({ change }) => change.kind === "create").map(({ change }) => change);
  return owners.map((owner) => {
    const living = creates.filter((change) => "owner" in change && change.owner === owner && !isGone(log, change.id));
    const holders = named.map((name) => {
      const [row] = Object.keys(claimRows([name], 0));
      const claims = living
        .filter((each) => JSON.stringify(lastOf(log, "Name", each.id)) === JSON.stringify([name]))
        .map((each) => ({ of: each.id, at: Number(lastOf(log, row as string, each.id)?.[0]) }));
      return claims.sort((one, other) => one.at - other.at || (one.of < other.of ? -1 : 1))[0]?.of ?? null;
    });
    return { owner, holders, ambiguous: 0 };
  });
};

const epoch = "e";
const usageNodes = ["n0", "n1", "n2"];

/** One node makes the object with its limit; all use it, ask, give and set the total anew. */
function using(maker: Maker): Change | undefined {
  const { node, objects, random } = maker;
  if (objects.get(id)?.born === undefined)
    return node === usageNodes[0] ? create(maker, { [usageRow(epoch, node)]: usageValue(firstEntry(20)) }) : undefined;
  const ledger = ledgerOf(valuesOf(objects.get(id)), epoch);
  const units = 1 + random(5);
  const deeds: readonly (() => UsageEntry | undefined)[] = [
    () => spend(ledger, node, units),
    () => ask(ledger, node, units),
    () => give(ledger, node),
    () => retotal(ledger, node, Math.max(0, totalOf(ledger) + random(7) - 3)),
  ];
  const entry = deeds[random(deeds.length)]?.();
  return entry === undefined ? undefined : changing({ [usageRow(epoch, node)]: usageValue(entry) });
}

const readUsage: Field["read"] = (objects) => {
  const ledger = ledgerOf(rowsIn(objects), epoch);
  const rights = usageNodes.map((node) => rightsOf(ledger, node));
  const [total, used] = [totalOf(ledger), usedOf(ledger)];
  const left = rights.reduce((sum, each) => sum + each, 0);
  return { total, used, left, debt: rights.some((each) => each < 0) };
};

const lawOfUsage: Field["law"] = (log) => {
  const most = (of: (entry: UsageEntry) => number) =>
    usageNodes.reduce((sum, node) => sum + Math.max(0, ...entriesOf(log, node).map(of)), 0);
  const total = most(({ minted }) => minted) - most(({ burnt }) => burnt);
  const used = most((entry) => entry.used);
  return { total, used, left: total - used, debt: false };
};

function entriesOf(log: readonly Said[], node: string): readonly UsageEntry[] {
  return log.flatMap(({ change }) => (change.attributes[usageRow(epoch, node)] ?? []) as unknown as UsageEntry[]);
}

const record = { kind: "user", name: "CN=a" } as const;
const groups = Array.from({ length: 20 }, (_, at) => `group g${at + 10}`);

/** Every field of the table by its name there. */
export const mergedFields: Readonly<Record<string, Field>> = {
  "owner, object type, time of creation": {
    change: (maker) => (maker.random(3) === 0 ? note(maker) : create(maker)),
    read: (objects) => {
      const born = objects.get(id)?.state.born;
      return born === undefined ? null : [born.stamp, born.owner, born.objectType];
    },
    law: (log) => {
      const first = earliestCreate(log);
      if (first?.change.kind !== "create") return null;
      return [first.stamp, first.change.owner, first.change.objectType];
    },
  },
  "lifecycle facts": {
    // Some facts seldom: of five that come alike, hardly a log of 24 changes would lack one.
    change: onObject(({ random }) => changing({}, { facts: 1 << random(1 + random(5)) })),
    read: (objects) => objects.get(id)?.state.facts,
    law: (log) => log.reduce((facts, { change }) => facts | change.facts, 0),
  },
  "an attribute": { change: onObject(note), read: readNotes, law: lastNotes },
  "key bytes": {
    change: (maker) => (maker.random(12) === 0 ? changing({}, { facts: fact.destroyed }) : create(maker)),
    read: (objects) => objects.get(id)?.material?.toString() ?? null,
    law: (log) => {
      const first = earliestCreate(log);
      return first?.change.kind !== "create" || isGone(log) ? null : first.change.sealed.toString();
    },
  },
  "Archive Date": {
    change: onObject(({ random, nowMs }) => changing({ "Archive Date": random(2) === 0 ? null : [nowMs] })),
    read: (objects) => rowsIn(objects).has("Archive Date"),
    law: (log) => (lastOf(log, "Archive Date") ?? null) !== null,
  },
  Name: { change: naming, read: readNames, law: lawOfNames },
  "right, group, role": {
    change: entitling(statements, [undefined]),
    read: (objects) => heldIn(rowsIn(objects), statements),
    law: (log) => heldBy(log, statements),
  },
  "end of a grant": {
    change: entitling(statements.slice(0, 1), [undefined, 50, 70]),
    read: (objects) => heldIn(rowsIn(objects), statements),
    law: (log) => heldBy(log, statements),
  },
  suspension: {
    change: onRows((rows, { random, tag }) => (random(2) === 0 ? suspending(tag) : lifting(rows))),
    read: (objects) => isSuspended(rowsIn(objects)),
    law: (log) =>
      log
        .filter((said) => says(said, ".withdrawn "))
        .some((said) => !log.some((lift) => says(lift, ".lifted ") && lift.heard.has(said))),
  },
  "user and group records": {
    change: ({ random, objects }) => {
      const rows = granting(
        valuesOf(objects.get(recordId("user", record.name))),
        groups[random(groups.length)] as string,
        undefined,
      );
      return Object.keys(rows).length === 0 ? undefined : recordChange(record, rows);
    },
    read: (objects) =>
      [...objects].map(([of, { state }]) => [of, state.born?.owner, heldIn(rowsIn(objects, of), groups)]),
    law: (log) => {
      const said = groups.filter((group) => log.some((each) => says(each, `.grant ${group}`)));
      return log.length === 0 ? [] : [[recordId("user", record.name), recordOwner, said.map((group) => [group, null])]];
    },
  },
  "Usage Limits: what is left": { change: using, read: readUsage, law: lawOfUsage },
  "a kind of operation that this version does not know": {
    change: onObject(note),
    read: readNotes,
    law: lastNotes,
    newer: true,
  },
};
