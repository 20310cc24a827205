import type { Caller } from "./identity.ts";

/** Whether the caller may see the object at all; what it may not see does not exist for it. */
export function maySee(caller: Caller, object: { readonly owner: string }): boolean {
  return object.owner === caller.identity;
}
