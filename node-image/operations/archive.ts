import { lastChange } from "../objects/attributes.ts";
import { seconds } from "../objects/lifecycle.ts";
import type { Context } from "./context.ts";
import { change } from "./find.ts";
import type { IdentifiedRequest, IdentifiedResponse } from "./lifecycle.ts";

/**
 * KMIP Archive (4.22): the object is put away; until it is recovered nothing else is done with it, and it is found only by
 * those who search the archive. Where its bytes lie is ours to decide: they stay where they are, sealed.
 */
export function archive(request: IdentifiedRequest, context: Context): Promise<IdentifiedResponse> {
  return change(request.uniqueIdentifier, context, async ({ id }) => {
    const attributes = { "Archive Date": [seconds(context.now())], ...lastChange(context.now()) };
    await context.store.write([{ kind: "change", id, facts: 0, attributes }]);
    return { uniqueIdentifier: id };
  });
}

/** KMIP Recover (4.23): the object is on-line again; one that was not away stays as it is. */
export function recover(request: IdentifiedRequest, context: Context): Promise<IdentifiedResponse> {
  return change(request.uniqueIdentifier, context, async ({ id, attributes }) => {
    const write = { "Archive Date": null, ...lastChange(context.now()) };
    if (attributes.has("Archive Date"))
      await context.store.write([{ kind: "change", id, facts: 0, attributes: write }]);
    return { uniqueIdentifier: id };
  });
}
