import { Refusal } from "../objects/refusal.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { expect, NotInVersion, type Reading, type Shape } from "./shape.ts";
import { isTag, tagName } from "./tags.ts";

/** How one range of protocol versions has a member of a structure. */
export interface Form {
  readonly tag: number;
  readonly presence: "one" | "optional" | "list" | "group";
  /** First version that has it, and the first that no longer has it. */
  readonly since: number;
  readonly until: number;
  readonly shape: Shape<unknown>;
  /** What is taken for it when the message leaves it out. Throws Refusal. */
  readonly absent?: (reading: Reading) => unknown;
}

/** A member of a structure: at most one form in each protocol version. */
export interface Field<Value> {
  readonly forms: readonly Form[];
  /** Only carries the type. */
  readonly value?: Value;
}

const forever = Number.POSITIVE_INFINITY;

/** Exactly one. */
export function one<Value>(tag: number, shape: Shape<Value>, since = 10, until = forever): Field<Value> {
  return { forms: [{ tag, shape: shape as Shape<unknown>, since, until, presence: "one" }] };
}

/** None or one. */
export function optional<Value>(
  tag: number,
  shape: Shape<Value>,
  since = 10,
  until = forever,
): Field<Value | undefined> {
  return { forms: [{ tag, shape: shape as Shape<unknown>, since, until, presence: "optional" }] };
}

/** Any number. */
export function list<Value>(tag: number, shape: Shape<Value>, since = 10, until = forever): Field<readonly Value[]> {
  return { forms: [{ tag, shape: shape as Shape<unknown>, since, until, presence: "list" }] };
}

/** None or one structure that stands for a list; the empty list is left out. */
export function group<Value>(
  tag: number,
  shape: Shape<readonly Value[]>,
  since = 10,
  until = forever,
): Field<readonly Value[]> {
  return { forms: [{ tag, shape: shape as Shape<unknown>, since, until, presence: "group", absent: () => [] }] };
}

/** Exactly one; left out, it is what `absent` gives. */
export function defaulted<Value>(
  tag: number,
  shape: Shape<Value>,
  absent: (reading: Reading) => Value,
  since = 10,
): Field<Value> {
  return { forms: [{ tag, shape: shape as Shape<unknown>, since, until: forever, presence: "one", absent }] };
}

/** One member that different versions have in different forms. */
export function byVersion<Value>(...fields: readonly Field<Value>[]): Field<Value> {
  return { forms: fields.flatMap(({ forms }) => forms) };
}

type Fields = Readonly<Record<string, Field<unknown>>>;
type OptionalKeys<F extends Fields> = {
  [Key in keyof F]: F[Key] extends Field<infer Value> ? (undefined extends Value ? Key : never) : never;
}[keyof F];
type Structure<F extends Fields> = {
  readonly [Key in Exclude<keyof F, OptionalKeys<F>>]: F[Key] extends Field<infer Value> ? Value : never;
} & {
  readonly [Key in OptionalKeys<F>]?: F[Key] extends Field<infer Value> ? Exclude<Value, undefined> : never;
};

/** A structure of named members, written in the order of the table. */
export function structure<const F extends Fields>(fields: F): Shape<Structure<F>> {
  const plans = new Map<number, Plan>();
  const planFor = (version: number): Plan => {
    const known = plans.get(version);
    if (known !== undefined) return known;
    const made = plan(fields, version);
    plans.set(version, made);
    return made;
  };
  return {
    read: (item, reading) => readStructure(item, planFor(reading.version), reading) as Structure<F>,
    write: (tag, value, version) => {
      const items: Item[] = [];
      for (const { key, form } of planFor(version).written) {
        writeField(items, form, (value as Record<string, unknown>)[key], version);
      }
      return { tag, type: itemType.structure, value: items };
    },
  };
}

interface Row {
  readonly key: string;
  readonly form: Form;
}

/** What a structure is in one protocol version. */
interface Plan {
  readonly version: number;
  readonly written: readonly Row[];
  readonly read: ReadonlyMap<number, Row>;
  /** Those that may not simply be left out: few of a structure with many optional members. */
  readonly filled: readonly Row[];
}

function plan(fields: Fields, version: number): Plan {
  const rows = (pick: (forms: readonly Form[]) => Form | undefined): Row[] =>
    Object.entries(fields).flatMap(([key, { forms }]) => {
      const form = pick(forms);
      return form === undefined ? [] : [{ key, form }];
    });
  const written = rows((forms) => forms.find(({ since, until }) => since <= version && version < until));
  // Clients are forgiven what a later minor version has: only answers must not be newer than the request.
  const nextMajor = (Math.floor(version / 10) + 1) * 10;
  const read = rows(
    (forms) =>
      forms.find(({ since, until }) => since <= version && version < until) ??
      forms.find(({ since }) => version < since && since < nextMajor),
  );
  const filled = read.filter(
    ({ form }) => form.absent !== undefined || form.presence === "list" || form.presence === "one",
  );
  return { version, written, read: new Map(read.map((row) => [row.form.tag, row])), filled };
}

function readStructure(item: Item, { version, read, filled }: Plan, reading: Reading): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const child of expect(item, itemType.structure).value) {
    const row = read.get(child.tag);
    if (row === undefined) throw unexpected(child.tag, item.tag, version);
    const { key, form } = row;
    const value = form.shape.read(child, reading);
    if (form.presence === "list") {
      const values = result[key] as unknown[] | undefined;
      if (values === undefined) result[key] = [value];
      else values.push(value);
    } else if (key in result) throw givenTwice(child.tag, item.tag);
    else result[key] = value;
  }
  if (reading.searched === true) return result;
  for (const row of filled) if (!(row.key in result)) fill(result, row, item.tag, reading);
  return result;
}

function fill(result: Record<string, unknown>, { key, form }: Row, parent: number, reading: Reading): void {
  if (form.absent !== undefined) result[key] = form.absent(reading);
  else if (form.presence === "list") result[key] = [];
  else if (form.presence === "one" && form.since <= reading.version)
    throw new Refusal("InvalidMessage", `${tagName(form.tag)} is missing in ${tagName(parent)}`);
}

function unexpected(child: number, parent: number, version: number): Refusal {
  return new Refusal(
    "InvalidField",
    `${tagName(child)} is not expected in ${tagName(parent)} of KMIP ${Math.floor(version / 10)}.${version % 10}`,
    isTag(child) ? undefined : "UnknownTag",
  );
}

function givenTwice(child: number, parent: number): Refusal {
  return new Refusal("InvalidMessage", `${tagName(child)} is given twice in ${tagName(parent)}`);
}

function writeField(into: Item[], form: Form, value: unknown, version: number): void {
  if (value === undefined) return;
  if (form.presence === "group" && (value as readonly unknown[]).length === 0) return;
  if (form.presence === "one" || form.presence === "group") {
    return void into.push(form.shape.write(form.tag, value, version));
  }
  for (const each of form.presence === "list" ? (value as readonly unknown[]) : [value]) {
    try {
      into.push(form.shape.write(form.tag, each, version));
    } catch (error) {
      // What the client's version has no word for is left out, unless the structure means nothing without it.
      if (!(error instanceof NotInVersion)) throw error;
    }
  }
}
