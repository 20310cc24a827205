import { type AttributeInstance, firstAttributes } from "../objects/attributes.ts";
import { objectType } from "../objects/enumerations.ts";
import { seconds } from "../objects/lifecycle.ts";
import { digestOf, type Material, packMaterial, sealContext } from "../objects/material.ts";
import type { Json } from "../objects/types.ts";
import type { Context } from "./context.ts";
import { callerStanding } from "./find.ts";
import { withFreeNames } from "./names.ts";

/** A new object before it has an identifier. */
export interface NewObject {
  readonly objectType: number;
  readonly requested: readonly AttributeInstance[];
  /** Attributes that the server adds; they win over requested ones. */
  readonly given: Readonly<Record<string, Json[]>>;
  readonly material: Material;
}

/** Seals and stores an object; its identifier. The material's bytes are zeroed, whatever happens. */
export async function storeNew(created: NewObject, context: Context): Promise<string> {
  try {
    await callerStanding(context);
    const attributes = allAttributes(created, context);
    const id = context.newId();
    const { identity: owner } = context.caller;
    const sealed = sealMaterial(created, { id, owner, objectType: created.objectType }, context);
    const change = { kind: "create", id, owner, objectType: created.objectType, sealed, facts: 0, attributes } as const;
    const names = attributes.Name ?? [];
    await withFreeNames(names, { context, code: "InvalidField" }, () => context.store.write([change]));
    return id;
  } finally {
    created.material.bytes.fill(0);
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

function allAttributes(created: NewObject, context: Context): Record<string, Json[]> {
  const requested = firstAttributes(created.requested, created.objectType, context.version);
  const now = seconds(context.now());
  const sensitive = requested.Sensitive?.[0] === true;
  const extractable = requested.Extractable?.[0] !== false;
  return {
    ...requested,
    ...created.given,
    ...digest(created),
    ...(created.material.format === 0 ? {} : { "Key Format Type": [created.material.format] }),
    "Initial Date": [now],
    "Last Change Date": [now],
    Fresh: [true],
    Sensitive: [sensitive],
    Extractable: [extractable],
    ...(isSecret(created.objectType) ? { "Always Sensitive": [sensitive], "Never Extractable": [!extractable] } : {}),
  };
}

/** What may be guessed, like passwords or short keys, could be found by its digest: that is not stored, it is made when asked for. */
function digest({ objectType: type, material }: NewObject): Record<string, Json[]> {
  const guessable = type === objectType.secretData || type === objectType.opaqueObject || material.bytes.length < 16;
  return guessable ? {} : { Digest: [digestOf(material)] };
}

function isSecret(type: number): boolean {
  return type === objectType.symmetricKey || type === objectType.privateKey || type === objectType.secretData;
}
