import { state } from "../objects/enumerations.ts";
import { stateOf } from "../objects/lifecycle.ts";
import { Refusal } from "../objects/refusal.ts";
import { ledgerOf, totalOf, usageLimitsOf, usedOf } from "../objects/usage-ledger.ts";
import type { Context } from "./context.ts";
import { find } from "./find.ts";
import { leaseOf } from "./lease.ts";
import type { IdentifiedRequest, IdentifiedResponse } from "./lifecycle.ts";

/** KMIP Check (4.10): what the client wants to do next; seconds for the lease. */
export interface CheckRequest extends IdentifiedRequest {
  readonly usageLimitsCount?: number;
  readonly cryptographicUsageMask?: number;
  readonly leaseTime?: number;
}

/** Says whether the object could be used so; nothing is taken or given by it. */
export async function check(request: CheckRequest, context: Context): Promise<IdentifiedResponse> {
  const object = await find(request.uniqueIdentifier, context);
  const now = context.now();
  if ([state.destroyed, state.destroyedCompromised].some((gone) => gone === stateOf(object, now))) {
    throw new Refusal(
      "IllegalOperation",
      "The object has been destroyed: it cannot be used for anything",
      "ObjectDestroyed",
    );
  }
  const { usageLimitsCount = 0, cryptographicUsageMask = 0, leaseTime = 0 } = request;
  const allowed = object.attributes.get("Cryptographic Usage Mask")?.[0];
  if (typeof allowed !== "number" ? cryptographicUsageMask !== 0 : (cryptographicUsageMask & ~allowed) !== 0) {
    throw new Refusal(
      "PermissionDenied",
      "Check failed: Cryptographic Usage Mask",
      "IncompatibleCryptographicUsageMask",
    );
  }
  const limits = usageLimitsOf(object);
  if (limits !== undefined) {
    const ledger = ledgerOf(object.attributes, limits.epoch);
    if (totalOf(ledger) - usedOf(ledger) < usageLimitsCount) {
      throw new Refusal("PermissionDenied", "Check failed: Usage Limits Count", "UsageLimitExceeded");
    }
  }
  if (leaseTime > (leaseOf(object, now) ?? 0)) throw new Refusal("PermissionDenied", "Check failed: Lease Time");
  return { uniqueIdentifier: object.id };
}
