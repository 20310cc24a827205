import type { CryptographicParameters } from "../cryptography/parameters.ts";
import type { Material } from "../objects/material.ts";
import type { ManagedObject } from "../objects/types.ts";
import { checkedKey, type KeyUse, type OpenedMaterial, type UsableKey } from "./checked-key.ts";
import type { Context } from "./context.ts";
import { openMaterial } from "./open-material.ts";
import { unwrapMaterial } from "./wrapping.ts";

/** The key of an object, after all checks; one that was registered wrapped is unwrapped for it. Rejects with Refusal. */
export function keyFor(
  id: string,
  use: KeyUse,
  given: CryptographicParameters | undefined,
  context: Context,
): Promise<UsableKey> {
  return checkedKey(id, { ...use, given }, context, (object) => opened(object, context));
}

/** The object's material in clear, the caller's to zero. Rejects with Refusal. */
export async function openClear(object: ManagedObject, context: Context): Promise<Material> {
  return (await opened(object, context)).material;
}

async function opened(object: ManagedObject, context: Context): Promise<OpenedMaterial> {
  const kept = openMaterial(object, context);
  return { material: await unwrapMaterial(kept, context), unwrapped: kept.wrapping !== undefined };
}
