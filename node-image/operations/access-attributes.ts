import {
  granting,
  heldStatements,
  isSuspended,
  lifting,
  type RowChanges,
  type Rows,
  suspending,
  withdrawing,
} from "../access/entitlement.ts";
import type { Standing } from "../access/standing.ts";
import { isPrincipal, parseStatement, statementText, unknownRights } from "../access/statement-text.ts";
import { type AttributeInstance, lastChange } from "../objects/attributes.ts";
import { seconds } from "../objects/lifecycle.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Json, ManagedObject } from "../objects/types.ts";
import type { ChangeAttributeResponse } from "./change-attributes.ts";
import type { Context } from "./context.ts";
import { callerStanding, findForGrants, notFound } from "./find.ts";
import { type RecordName, recordChange, recordIdentifier, recordNamed, rowsOf } from "./records.ts";

/** Attributes whose names begin so say who may do what; they are the server's, in every protocol version (docs/access.md). */
export const accessPrefix = "x-keyfleet-";
const grantPrefix = `${accessPrefix}grant-`;
const groupPrefix = `${accessPrefix}group-`;
const rolePrefix = `${accessPrefix}role-`;
const suspended = `${accessPrefix}suspended`;

/** Statements that one object or record may hold at a time, and rows that all changes of rights may leave on it, with their characters. */
const statementsMax = 1_000;
const rowsMax = 4_000;
const charactersMax = 262_144;

/** What a change of an access attribute asks for. */
export interface AccessChange {
  readonly how: "add" | "modify" | "delete" | "set";
  readonly uniqueIdentifier: string;
  readonly attribute: AttributeInstance;
}

/** Whether the request is about access: an attribute of it, or the record of a user or group. */
export function isAccessChange(uniqueIdentifier: string, name: string): boolean {
  return name.startsWith(accessPrefix) || uniqueIdentifier.startsWith("keyfleet:");
}

/** Adds, changes or withdraws what an access attribute says. Rejects with Refusal. */
export async function changeAccess(change: AccessChange, context: Context): Promise<ChangeAttributeResponse> {
  const { uniqueIdentifier, attribute } = change;
  if (context.delegation !== undefined) {
    throw new Refusal("PermissionDenied", "Rights are given by their holder, not by a ticket");
  }
  return context.serial(`access ${uniqueIdentifier}`, async () => {
    const record = recordNamed(uniqueIdentifier);
    await (record === undefined ? changeObject(change, context) : changeRecord(record, change, context));
    context.whenTrue(() => tell(change, context));
    return { uniqueIdentifier, attribute: { name: attribute.name, value: attribute.value } };
  });
}

/** Rights are no secrets, and who changed them must be found without the activity log. */
function tell({ how, uniqueIdentifier, attribute }: AccessChange, context: Context): void {
  const fields = { on: printable(uniqueIdentifier, 1_000), attribute: printable(attribute.name, 1_000) };
  const value = how === "delete" ? "" : printable(textOf(attribute.value) ?? "", 1_000);
  context.log({ level: "info", event: "access-changed", by: context.caller.identity, how, ...fields, value });
}

/** Grants on one object: by its owner, or by an administrator for others. */
async function changeObject(change: AccessChange, context: Context): Promise<void> {
  const object = await findForGrants(change.uniqueIdentifier, context);
  const { name } = change.attribute;
  if (!name.startsWith(grantPrefix))
    throw new Refusal("InvalidField", `"${name}" belongs to a user or group, not to an object`);
  const own = object.owner === context.caller.identity;
  const standing = await callerStanding(context);
  if (!own) refuseSelf(principalOf(name), standing, change.how);
  const rows = rowsFor(change, object.attributes, context);
  const attributes = { ...rows, ...lastChange(context.now()) };
  if (Object.keys(rows).length > 0)
    await context.store.write([{ kind: "change", id: object.id, facts: 0, attributes }]);
}

/** Users and groups: by administrators; grants on all of a user's objects by that user too. */
async function changeRecord(record: RecordName, change: AccessChange, context: Context): Promise<void> {
  const standing = await callerStanding(context);
  const { name } = change.attribute;
  const own = record.kind === "user" && record.name === context.caller.identity;
  const grant = name.startsWith(grantPrefix);
  if (!standing.administrator && !(own && grant)) throw notFound(change.uniqueIdentifier);
  if (!name.startsWith(accessPrefix))
    throw new Refusal("InvalidField", "A user or group has no attributes but those of access");
  if (record.kind === "group" && (grant || name === suspended || name.startsWith(groupPrefix))) {
    throw new Refusal("InvalidField", `"${name}" belongs to a user, not to a group`);
  }
  if (grant && !own) refuseSelf(principalOf(name), standing, change.how);
  if (!grant) refuseSelf(`${record.kind}:${record.name}`, standing, change.how);
  const rows = rowsFor(change, await rowsOf(record, context), context);
  if (Object.keys(rows).length > 0) await context.store.write([recordChange(record, rows)]);
}

/** Nobody gives rights to himself, nor to a group he is in: that takes a second administrator. Giving up is free. */
function refuseSelf(principal: string, { principals }: Standing, how: AccessChange["how"]): void {
  if (how !== "delete" && principals.includes(principal)) {
    throw new Refusal(
      "PermissionDenied",
      "Nobody changes the rights of himself or of his group: ask another administrator",
    );
  }
}

function principalOf(name: string): string {
  const principal = name.slice(grantPrefix.length);
  if (!isPrincipal(principal)) {
    throw new Refusal(
      "InvalidField",
      'After "x-keyfleet-grant-" stands "user:" and an identity, or "group:" and a name',
    );
  }
  return principal;
}

/** The rows that make the attribute so, within bounds. */
function rowsFor(change: AccessChange, rows: Rows, context: Context): RowChanges {
  const written = rowsMaking(change, rows, context);
  const kept = [...[...rows.keys()].filter((name) => name.startsWith(".")), ...Object.keys(written)];
  const characters = kept.reduce((sum, name) => sum + name.length, 0);
  // What takes rights away always finds room: it is what one must be able to rely on.
  if (change.how !== "delete" && (kept.length > rowsMax || characters > charactersMax)) {
    throw new Refusal(
      "IndexOutOfBounds",
      "Rights were changed here too often: grant to groups, and change their members",
    );
  }
  return written;
}

function rowsMaking({ how, attribute }: AccessChange, rows: Rows, context: Context): RowChanges {
  const { name } = attribute;
  const held = heldStatements(rows, seconds(context.now()));
  const present = name === suspended ? isSuspended(rows) : [...held.keys()].some((each) => attributeOf(each) === name);
  if (how === "add" && present)
    throw new Refusal(
      "IllegalOperation",
      `Attribute "${name}" exists already: use Modify Attribute`,
      "AttributeSingleValued",
    );
  if ((how === "modify" || how === "delete") && !present) {
    throw new Refusal("ItemNotFound", `There is no attribute "${name}"`, "AttributeNotFound");
  }
  if (name === suspended) return how === "delete" ? lifting(rows) : suspending(context.newId());
  const wanted = how === "delete" ? { statements: [], until: undefined } : wantedStatements(attribute);
  const gone = [...held.keys()].filter((each) => attributeOf(each) === name && !wanted.statements.includes(each));
  if (held.size - gone.length + wanted.statements.length > statementsMax) {
    throw new Refusal("IndexOutOfBounds", `At most ${statementsMax} rights are kept here: grant to groups instead`);
  }
  return Object.assign(
    {},
    ...gone.map((each) => withdrawing(each, context.newId())),
    ...wanted.statements.map((each) => grantingOrRefusing(rows, each, wanted.until)),
  ) as RowChanges;
}

function grantingOrRefusing(rows: Rows, statement: string, until: number | undefined): RowChanges {
  try {
    return granting(rows, statement, until);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new Refusal("IndexOutOfBounds", "This right was withdrawn too often: grant it to a group instead");
  }
}

/** The statements that an attribute stands for. */
function wantedStatements({ name, value }: AttributeInstance): { statements: string[]; until: number | undefined } {
  const text = textOf(value);
  const parsed = text === undefined ? "the value must be a text" : parseStatement(text);
  if (typeof parsed === "string") throw new Refusal("InvalidField", `"${name}": ${parsed}`);
  const { words, until } = parsed;
  if (!name.startsWith(grantPrefix)) return { statements: [single(name, words)], until };
  const principal = principalOf(name);
  const unknown = unknownRights(words);
  if (unknown.length > 0)
    throw new Refusal(
      "InvalidField",
      `Not a right: ${unknown.map((word) => printable(word)).join(", ")}; rights are named as operations are`,
    );
  if (words.length === 0) throw new Refusal("InvalidField", "Name at least one right, or use Delete Attribute");
  return { statements: words.map((right) => `${right} ${principal}`), until };
}

function single(name: string, words: readonly string[]): string {
  if (words.length !== 1 || words[0] !== "yes")
    throw new Refusal("InvalidField", `"${name}" has the value "yes", with or without an end`);
  if (name === `${rolePrefix}administrator` || name === `${rolePrefix}auditor`)
    return `role ${name.slice(rolePrefix.length)}`;
  const group = name.slice(groupPrefix.length);
  if (name.startsWith(groupPrefix) && isPrincipal(`group:${group}`)) return `group ${group}`;
  throw new Refusal(
    "InvalidField",
    `"${printable(name)}" is not known: see the roles administrator and auditor, groups and grants`,
  );
}

function printable(text: string, length = 64): string {
  return text.slice(0, length).replace(/[^\x20-\x7e]/g, "?");
}

/** The name of the attribute that shows a statement. */
function attributeOf(statement: string): string {
  const space = statement.indexOf(" ");
  const [first, rest] = [statement.slice(0, space), statement.slice(space + 1)];
  if (first === "role") return rolePrefix + rest;
  return first === "group" ? groupPrefix + rest : grantPrefix + rest;
}

/** What rows say, as attributes: rights of one principal that end at different times are instances of one attribute. */
export function accessAttributes(rows: Rows, now: number): Map<string, Json[]> {
  const shown = new Map<string, Map<number | undefined, string[]>>();
  for (const [statement, until] of heldStatements(rows, now)) {
    const name = attributeOf(statement);
    const word = name.startsWith(grantPrefix) ? statement.slice(0, statement.indexOf(" ")) : "yes";
    const ends = shown.get(name) ?? new Map<number | undefined, string[]>();
    shown.set(name, ends.set(until, [...(ends.get(until) ?? []), word]));
  }
  const texts = [...shown].map(([name, ends]): [string, Json[]] => [
    name,
    [...ends].map(([until, words]) => textValue(statementText({ words: words.sort(), until }))),
  ]);
  return new Map([
    ...texts.sort(([one], [other]) => (one < other ? -1 : 1)),
    ...(isSuspended(rows) ? [suspension] : []),
  ]);
}

const suspension: [string, Json[]] = [suspended, [textValue("yes")]];

/** The record of a user or group as its attributes: for administrators and auditors, and each user's own; by a ticket nobody's. */
export async function recordAttributes(record: RecordName, context: Context): Promise<Map<string, Json[]>> {
  const { administrator, auditor } = await callerStanding(context);
  const itself = record.kind === "user" && record.name === context.caller.identity;
  const own = itself && context.delegation === undefined;
  const rows = await rowsOf(record, context);
  if (!(administrator || auditor || own) || rows.size === 0) throw notFound(recordIdentifier(record));
  return new Map([
    ["Unique Identifier", [recordIdentifier(record)]],
    ...accessAttributes(rows, seconds(context.now())),
  ]);
}

/** Who may see the grants of an object: its owner, administrators and auditors. */
export async function visibleGrants(object: ManagedObject, context: Context): Promise<Map<string, Json[]>> {
  const rows = object.attributes;
  const any = [...rows.keys()].some((name) => name.startsWith(".grant "));
  if (!any) return new Map();
  const own = object.owner === context.caller.identity;
  const { administrator, auditor } = own ? { administrator: false, auditor: false } : await callerStanding(context);
  return own || administrator || auditor ? accessAttributes(rows, seconds(context.now())) : new Map();
}

/** Attributes of a client's own keep their TTLV type; 7 is a text string. */
function textValue(text: string): Json {
  return { type: 7, value: text };
}

function textOf(value: Json): string | undefined {
  const { type, value: text } = (value ?? {}) as { type?: Json; value?: Json };
  return type === 7 && typeof text === "string" ? text : undefined;
}
