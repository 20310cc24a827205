import type { Change } from "../objects/types.ts";
import { StoreError } from "./error.ts";
import { compareVersions } from "./version.ts";

/** Kinds of operations that this software writes and applies, each with the first version that knows it. */
export const kinds: Readonly<Record<Change["kind"], string>> = {
  create: "0.1.0",
  change: "0.1.0",
};

/**
 * The changes as they may be written while the fleet is at this feature level, so that every member understands them: a
 * newer kind waits until all nodes run a version that knows it. Throws StoreError "invalid".
 */
export function writable(changes: readonly Change[], featureLevel: string): readonly Change[] {
  const early = changes.find(({ kind }) => compareVersions(kinds[kind], featureLevel) > 0);
  if (early !== undefined)
    throw new StoreError(
      "invalid",
      `the fleet is at feature level ${featureLevel}, and this needs ${kinds[early.kind]}; finish the fleet's upgrade first`,
    );
  return changes;
}
