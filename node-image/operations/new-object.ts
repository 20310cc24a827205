import { type AttributeInstance, checkSize, firstAttributes } from "../objects/attributes.ts";
import { objectType, protectionStorage } from "../objects/enumerations.ts";
import { seconds } from "../objects/lifecycle.ts";
import { type Material, packMaterial, sealContext } from "../objects/material.ts";
import { claimRows } from "../objects/names.ts";
import { Refusal } from "../objects/refusal.ts";
import { sameValue } from "../objects/same-value.ts";
import type { Change, Json } from "../objects/types.ts";
import { checkConstraints } from "./constraints.ts";
import type { Context } from "./context.ts";
import { digestOf } from "./digest.ts";
import { callerStanding } from "./find.ts";
import { withFreeNames } from "./names.ts";
import { newUsageLimits } from "./usage-limits.ts";

/** A new object before it has an identifier. */
export interface NewObject {
  readonly objectType: number;
  readonly requested: readonly AttributeInstance[];
  /** Attributes that the server adds; they win over requested ones. */
  readonly given: Readonly<Record<string, Json[]>>;
  readonly material: Material;
  /** What an imported object brings that the server else sets itself: attributes, and facts of its life so far. */
  readonly past?: { readonly attributes: Readonly<Record<string, Json[]>>; readonly facts: number };
}

/** Seals and stores an object; its identifier. The material's bytes are zeroed, whatever happens. */
export async function storeNew(created: NewObject, context: Context): Promise<string> {
  const id = context.newId();
  await storeAll([{ ...created, id }], context);
  return id;
}

/** A change of another object that belongs to the making of new ones: links, and names that it gives away to one of them. */
export type AlsoChanged = Extract<Change, { kind: "change" }> & { readonly givesAway?: readonly Json[] };

/**
 * Stores objects, and changes others, all or nothing; `before` is what must be done first, once nothing else can be refused. The
 * materials' bytes are zeroed, whatever happens.
 */
export async function storeAll(
  created: readonly (NewObject & { readonly id: string })[],
  context: Context,
  also: readonly AlsoChanged[] = [],
  before: () => Promise<void> = async () => undefined,
): Promise<void> {
  try {
    await callerStanding(context);
    const { identity: owner } = context.caller;
    const changes = created.map((each) => {
      const { id, objectType: type } = each;
      const sealed = sealMaterial(each, { id, owner, objectType: type }, context);
      const attributes = allAttributes(each, context);
      return { kind: "create", id, owner, objectType: type, sealed, facts: each.past?.facts ?? 0, attributes } as const;
    });
    for (const { objectType: type, attributes } of changes) await checkConstraints(type, attributes, context);
    const names = changes.flatMap(({ attributes }) => (attributes.Name ?? []).filter((name) => name !== null));
    if (new Set(names.map((name) => JSON.stringify(name))).size < names.length) {
      throw new Refusal("InvalidField", "Two objects cannot have the same Name", "NonUniqueNameAttribute");
    }
    // Names that an object gives away in the same write are free.
    const taken = names.filter(
      (name) => !also.some(({ givesAway }) => givesAway?.some((each) => sameValue(each, name))),
    );
    const write = async () => {
      await before();
      await context.store.write([...changes, ...also.map(({ givesAway: _, ...change }) => change)]);
    };
    await withFreeNames(taken, { context, code: "InvalidField" }, write);
  } finally {
    for (const { material } of created) material.bytes.fill(0);
  }
}

function sealMaterial(
  created: NewObject,
  object: { id: string; owner: string; objectType: number },
  context: Context,
): Buffer {
  const packed = packMaterial(created.material);
  try {
    return context.keyring.seal(packed, sealContext(object));
  } finally {
    packed.fill(0);
  }
}

/** Into one object without prototype: the claim of a name is a key that no other object has, and V8 would make shapes for it. */
function allAttributes(created: NewObject, context: Context): Record<string, Json[]> {
  const all = firstAttributes(created.requested, created.objectType, context.version);
  Object.assign(all, created.given);
  Object.assign(
    all,
    newUsageLimits(all, context, created.past !== undefined),
    claimRows(all.Name ?? [], context.now().getTime()),
    digest(created, context),
  );
  if (created.material.format !== 0) all["Key Format Type"] = [created.material.format];
  Object.assign(all, ofServer(created, all, seconds(context.now())), created.past?.attributes);
  // A past, and the names in a certificate, come beside what was requested.
  if (created.past !== undefined || created.objectType === objectType.certificate) checkSize(Object.entries(all));
  return all;
}

/** What the server says of every new object. */
function ofServer(created: NewObject, all: Readonly<Record<string, Json[]>>, now: number): Record<string, Json[]> {
  const sensitive = all.Sensitive?.[0] === true;
  const extractable = all.Extractable?.[0] !== false;
  const common = {
    "Protection Storage Mask": [protectionStorage.software],
    "Initial Date": [now],
    "Last Change Date": [now],
    Fresh: [true],
    Sensitive: [sensitive],
    Extractable: [extractable],
  };
  if (!isSecret(created.objectType)) return common;
  return { ...common, "Always Sensitive": [sensitive], "Never Extractable": [!extractable] };
}

/** What may be guessed, like passwords or short keys, could be found by its digest: that is not stored, it is made when asked for. */
function digest({ objectType: type, material }: NewObject, context: Context): Record<string, Json[]> {
  const guessable = type === objectType.secretData || type === objectType.opaqueObject || material.bytes.length < 16;
  return guessable ? {} : { Digest: [digestOf(material, context)] };
}

/** Types that have Always Sensitive and Never Extractable; public keys too, as the OASIS test case AKLC-O-1 has it. */
const sensitiveTypes: readonly number[] = [
  objectType.symmetricKey,
  objectType.publicKey,
  objectType.privateKey,
  objectType.splitKey,
  objectType.secretData,
];

function isSecret(type: number): boolean {
  return sensitiveTypes.includes(type);
}
