import { rightOf, rights } from "../access/rights.ts";
import type { Context } from "./context.ts";
import { callerStanding, find } from "./find.ts";
import { checkHandedOut, type GetRequest, type GetResponse, notWrapped } from "./get.ts";
import { mustBeServed, recalledMaterial } from "./open-material.ts";
import { wrappingKey } from "./wrapping.ts";

/** An answer that was made earlier and is given now. */
export interface EarlierAnswer {
  /** Objects that it names. */
  readonly identifiers: readonly string[];
  /** Whether it holds bytes that only who may have the objects may see. */
  readonly secret: boolean;
}

/**
 * Judges again whether an answer may be given, in the context of its operation: what was destroyed, compromised or withdrawn
 * since is not handed out. What is told of a change or of a new object stays true. Rejects with Refusal, as the operation would now.
 */
export async function mustBeHandedOut({ identifiers, secret }: EarlierAnswer, context: Context): Promise<void> {
  await callerStanding(context);
  const right = rightOf(context.operation);
  // The identifiers that a search found tell nothing of the objects.
  if (!secret && (rights.get(right) !== "look" || right === "Locate")) return;
  for (const id of identifiers) {
    const object = await find(id, context, right);
    if (secret) mustBeServed(object, context);
  }
}

/**
 * Judges again what Get and Export gave: the object may have become Sensitive since, or the key that wrapped or unwrapped it be
 * out of use. Rejects with Refusal, as the operation would now.
 */
export async function objectMustBeHandedOut(
  { uniqueIdentifier, material }: GetResponse,
  { wrapping, keyWrapType }: GetRequest,
  context: Context,
): Promise<void> {
  const object = await find(uniqueIdentifier, context);
  checkHandedOut(object, material.wrapping !== undefined);
  if (wrapping !== undefined) await wrappingKey(wrapping, "wrap", context);
  if (keyWrapType !== notWrapped) return;
  const kept = recalledMaterial(object, context);
  kept.bytes.fill(0);
  if (kept.wrapping !== undefined) await wrappingKey(kept.wrapping, "unwrap", context);
}
