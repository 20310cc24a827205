import { leaseMaxSeconds } from "../objects/attributes.ts";
import { objectType, state } from "../objects/enumerations.ts";
import { seconds, stateOf } from "../objects/lifecycle.ts";
import { Refusal } from "../objects/refusal.ts";
import type { ManagedObject } from "../objects/types.ts";
import type { Context } from "./context.ts";
import { find } from "./find.ts";
import type { IdentifiedRequest } from "./lifecycle.ts";

/** KMIP Obtain Lease (4.17): seconds, and when the object was changed last (seconds since 1970). */
export interface LeaseResponse {
  readonly uniqueIdentifier: string;
  readonly leaseTime: number;
  readonly lastChangeDate: number;
}

/**
 * How long a client may go on using what it holds of the object before it asks again. Nothing is kept of it: a lease is
 * an answer with an end, and whoever revokes a key knows that no client uses it for longer than the longest lease.
 */
export async function obtainLease(request: IdentifiedRequest, context: Context): Promise<LeaseResponse> {
  const object = await find(request.uniqueIdentifier, context);
  const leaseTime = leaseOf(object, context.now());
  if (leaseTime === undefined) {
    throw new Refusal("PermissionDenied", "No lease is given for an object that is not, or no longer, to be used");
  }
  const changed = object.attributes.get("Last Change Date")?.[0];
  return {
    uniqueIdentifier: object.id,
    leaseTime,
    lastChangeDate: typeof changed === "number" ? changed : seconds(context.now()),
  };
}

/** Seconds that a lease lasts now: it ends with the object's active life. Undefined where none is given. */
export function leaseOf(object: ManagedObject, now: Date): number | undefined {
  const current = stateOf(object, now);
  const usable = current === state.preActive || current === state.active;
  if (object.objectType === objectType.opaqueObject || !usable) return undefined;
  const end = object.attributes.get("Deactivation Date")?.[0];
  return typeof end === "number" ? Math.max(1, Math.min(leaseMaxSeconds, end - seconds(now))) : leaseMaxSeconds;
}
