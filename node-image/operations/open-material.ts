import { state } from "../objects/enumerations.ts";
import { stateOf } from "../objects/lifecycle.ts";
import { type Material, type SplitPart, sealContext, unpackMaterial } from "../objects/material.ts";
import { Refusal } from "../objects/refusal.ts";
import type { ManagedObject } from "../objects/types.ts";
import type { Context } from "./context.ts";

/** The object's material; the caller zeroes its bytes. Refuses what was destroyed. */
export function openMaterial(object: ManagedObject, context: Context): Material {
  const current = stateOf(object, context.now());
  if (object.sealed === undefined || current === state.destroyed || current === state.destroyedCompromised) {
    throw new Refusal(
      "IllegalOperation",
      "The object has been destroyed: only its attributes are left",
      "ObjectDestroyed",
    );
  }
  const material = unpackMaterial(context.keyring.unseal(object.sealed, sealContext(object)));
  const split = object.attributes.get(".split")?.[0] as unknown as SplitPart | undefined;
  return split === undefined ? material : { ...material, split };
}
