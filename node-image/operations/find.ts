import { maySee } from "../access/ownership.ts";
import { Refusal } from "../objects/refusal.ts";
import type { ManagedObject } from "../objects/types.ts";
import type { Context } from "./context.ts";

/** The caller's object. One path and one message for what is absent and what is another's, so that neither can be told apart. */
export async function find(id: string, context: Context): Promise<ManagedObject> {
  const object = uuid.test(id) ? await context.store.object(id) : undefined;
  if (object === undefined || !maySee(context.caller, object)) {
    throw new Refusal("ItemNotFound", `There is no object with Unique Identifier "${printable(id)}"`);
  }
  return object;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Finds the object and lets one change of it at a time through. */
export function change<Result>(
  id: string,
  context: Context,
  work: (object: ManagedObject) => Promise<Result>,
): Promise<Result> {
  return context.serial(id, async () => work(await find(id, context)));
}

/** Client text fit to be repeated in an answer. */
function printable(text: string): string {
  return text.slice(0, 64).replace(/[^\x20-\x7e]/g, "?");
}
