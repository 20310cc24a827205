import { state } from "../objects/enumerations.ts";
import { stateOf } from "../objects/lifecycle.ts";
import { type Material, type SplitPart, sealContext, unpackMaterial } from "../objects/material.ts";
import { Refusal } from "../objects/refusal.ts";
import type { ManagedObject } from "../objects/types.ts";
import type { Context } from "./context.ts";

/** The object's material as `openMaterial` gives it, unsealed lately or now: for what is asked for again and again. */
export function recalledMaterial(object: ManagedObject, context: Context): Material {
  const { keys } = context.cryptography;
  // Another node may have destroyed it: then its material is not kept here either.
  if (object.sealed === undefined) keys.drop(object.id);
  // A part of a key is told apart by its object's rows.
  if (object.sealed === undefined || object.attributes.has(".split")) return openMaterial(object, context);
  return keys.materialOf(object, context.keyring, () => openMaterial(object, context));
}

/** The object's material, to be looked at here or, after `mustBeServed`, handed out; the caller zeroes its bytes. Refuses what was destroyed. */
export function openMaterial(object: ManagedObject, context: Context): Material {
  const current = stateOf(object, context.now());
  if (object.sealed === undefined || current === state.destroyed || current === state.destroyedCompromised) {
    throw destroyed();
  }
  const material = unpackMaterial(context.keyring.unseal(object.sealed, sealContext(object)));
  const split = object.attributes.get(".split")?.[0] as unknown as SplitPart | undefined;
  return split === undefined ? material : { ...material, split };
}

/**
 * Whoever has seen that an object is destroyed or compromised never hands it out or uses it again. Owners whose data must
 * stay readable under a compromised key, until it is protected anew (SP 800-57-1, 7), allow that in their policy.
 * Throws Refusal.
 */
export function mustBeServed(object: ManagedObject, { now, cryptography }: Context): void {
  const current = stateOf(object, now());
  if (current === state.destroyed || current === state.destroyedCompromised) throw destroyed();
  if (current === state.compromised && !cryptography.policy.servesCompromised) {
    throw new Refusal(
      "PermissionDenied",
      "The object is compromised and is not served any more: use its successor, or ask the fleet's owner to allow it",
      "WrongKeyLifecycleState",
    );
  }
}

/** Of what others know nothing new is made, whatever may still be read by it: no certificate, no parts. Throws Refusal. */
export function refuseCompromised(object: ManagedObject, { now }: Context): void {
  if (stateOf(object, now()) !== state.compromised) return;
  const text = "The object is compromised: nothing new is made of it, make a new one";
  throw new Refusal("PermissionDenied", text, "WrongKeyLifecycleState");
}

function destroyed(): Refusal {
  return new Refusal(
    "IllegalOperation",
    "The object has been destroyed: only its attributes are left",
    "ObjectDestroyed",
  );
}
