import { type RowChanges, type Rows, recordId } from "../access/entitlement.ts";
import { recordOwner } from "../access/standing.ts";
import { isPrincipal } from "../access/statement-text.ts";
import { objectType } from "../objects/enumerations.ts";
import type { Change, Description, Json } from "../objects/types.ts";
import type { Context } from "./context.ts";
import { callerStanding } from "./find.ts";

/** A user or group, as KMIP clients name its record: "keyfleet:user:CN=db1,…,issuer(…)" or "keyfleet:group:payments". */
export interface RecordName {
  readonly kind: "user" | "group";
  readonly name: string;
}

const prefix = "keyfleet:";

/** The user or group that a Unique Identifier names; undefined when it names an object, or nothing. */
export function recordNamed(uniqueIdentifier: string): RecordName | undefined {
  if (!uniqueIdentifier.startsWith(prefix)) return undefined;
  const principal = uniqueIdentifier.slice(prefix.length);
  if (!isPrincipal(principal)) return undefined;
  const [kind, ...rest] = principal.split(":");
  return { kind: kind as RecordName["kind"], name: rest.join(":") };
}

/** The Unique Identifier of a record. */
export function recordIdentifier({ kind, name }: RecordName): string {
  return `${prefix}${kind}:${name}`;
}

/** Rows of a record; none when nobody has written it yet. */
export async function rowsOf({ kind, name }: RecordName, context: Context): Promise<Rows> {
  return (await context.store.object(recordId(kind, name)))?.attributes ?? new Map();
}

/**
 * The change that writes rows to a record, with its create: every node makes a record in the same way, so that two that do it
 * at once have made one.
 */
export function recordChange({ kind, name }: RecordName, rows: RowChanges): Change {
  return {
    kind: "create",
    id: recordId(kind, name),
    owner: recordOwner,
    objectType: objectType.opaqueObject,
    facts: 0,
    sealed: Buffer.alloc(0),
    attributes: { ".kind": [kind], ".identity": [name], ...rows },
  };
}

/** The attribute that Locate finds users and groups by; its values are "user" and "group". */
export const recordKind = "x-keyfleet-kind";

/** The records of users or of groups, for administrators and auditors; nobody else finds any. */
export async function locateRecords(
  kind: Json,
  items: { readonly from: number; readonly end: number },
  context: Context,
): Promise<{ readonly locatedItems: number; readonly uniqueIdentifiers: readonly string[] }> {
  const { administrator, auditor } = await callerStanding(context);
  const { value } = (kind ?? {}) as { value?: Json };
  const all = administrator || auditor ? await context.store.locate({ owner: recordOwner }) : [];
  const found: string[] = [];
  for await (const page of context.store.descriptions(all)) {
    found.push(
      ...namesOf(page)
        .filter((each) => each.kind === value)
        .map(recordIdentifier),
    );
  }
  return { locatedItems: found.length, uniqueIdentifiers: found.sort().slice(items.from, items.end) };
}

/** The names of records that a search has found. */
function namesOf(records: readonly Description[]): RecordName[] {
  return records.flatMap(({ attributes }) => {
    const [kind, name] = [attributes.get(".kind")?.[0], attributes.get(".identity")?.[0]];
    return (kind === "user" || kind === "group") && typeof name === "string" ? [{ kind, name }] : [];
  });
}
