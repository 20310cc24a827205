import { Refusal } from "../objects/refusal.ts";
import type { Context } from "./context.ts";

/** Bytes that one RNG Retrieve gives. */
export const retrieveMaxBytes = 65_536;

/** KMIP RNG Retrieve (4.35). */
export async function rngRetrieve(
  request: { readonly dataLength: number },
  context: Context,
): Promise<{ data: Buffer }> {
  const { dataLength } = request;
  if (dataLength < 1 || dataLength > retrieveMaxBytes) {
    throw new Refusal("InvalidField", `Data Length is 1 to ${retrieveMaxBytes} bytes`);
  }
  return { data: context.cryptography.random.retrieve(dataLength) };
}

/** KMIP RNG Seed (4.36): a seed adds to the generator, it replaces nothing. The number of bytes that were used. */
export async function rngSeed(request: { readonly data: Buffer }, context: Context): Promise<{ dataLength: number }> {
  const { random, policy } = context.cryptography;
  if (policy.seed === "refused") throw new Refusal("PermissionDenied", "This fleet takes no seeds");
  const used = request.data.subarray(0, policy.seed);
  if (used.length > 0) random.seed(used);
  return { dataLength: used.length };
}
