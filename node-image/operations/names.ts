import { Refusal, type RefusalCode } from "../objects/refusal.ts";
import { fact, type Json } from "../objects/types.ts";
import type { Context } from "./context.ts";

/**
 * Does the write only if none of the names is in use by the caller's other objects (3.2). Names are unique per owner, so
 * that nobody learns another's; those of destroyed objects are free again. Two nodes at the same time are the store's case.
 */
export async function withFreeNames<Result>(
  names: readonly Json[],
  request: { readonly context: Context; readonly code: RefusalCode; readonly except?: string },
  write: () => Promise<Result>,
): Promise<Result> {
  const { context } = request;
  const [name, ...others] = names.filter((value) => value !== null);
  if (name === undefined) return write();
  return context.serial(`name ${context.caller.identity} ${JSON.stringify(name)}`, async () => {
    if (await inUse(name, context, request.except)) {
      throw new Refusal(
        request.code,
        "Another object has this Name: choose another, or destroy that object first",
        "NonUniqueNameAttribute",
      );
    }
    return withFreeNames(others, request, write);
  });
}

async function inUse(name: Json, context: Context, except: string | undefined): Promise<boolean> {
  const { identity: owner } = context.caller;
  const ids = await context.store.locate({ owner, withoutFacts: fact.destroyed, attributes: { Name: name } });
  const objects = await context.store.objects(ids.filter((id) => id !== except));
  return objects.some(({ facts }) => (facts & fact.destroyed) === 0);
}
