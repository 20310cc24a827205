import type { KmsNode } from "@keyfleet/crds/kms-node.ts";
import { endpointOf } from "./fleet.ts";
import { type Answer, ask, type Call } from "./kmip-clients.ts";
import type { Place } from "./places.ts";

/** Identifier of a key → SHA-256 of its bytes, as a node answered. */
export type Digests = ReadonlyMap<string, string>;

/** Reads the keys at one endpoint; throws when one is missing or differs from what is known of it. */
export async function readKeys(place: Place, call: Call, keys: readonly Answer[]): Promise<Digests> {
  const known = new Map(keys.map(({ id, digest }) => [id ?? "", digest]));
  const answers = await ask(place, call, ["read"], `${[...known.keys()].join("\n")}\n`);
  const wrong = answers.filter(({ id = "", digest }) => digest === undefined || (known.get(id) ?? digest) !== digest);
  if (wrong.length > 0 || answers.length !== known.size)
    throw new Error(
      `${answers.length} of ${known.size} keys answered at ${call.endpoints}, ${wrong.length} wrong: ${JSON.stringify(wrong.slice(0, 5))}`,
    );
  return new Map(answers.map(({ id = "", digest = "" }) => [id, digest]));
}

/** Reads every key on each of the nodes and compares their bytes. */
export async function readEverywhere(
  place: Place,
  call: Call,
  { keys, nodes }: { keys: readonly Answer[]; nodes: readonly KmsNode[] },
): Promise<void> {
  let known = keys;
  for (const node of nodes) {
    const digests = await readKeys(place, { ...call, endpoints: [endpointOf(node.spec)] }, known);
    known = [...digests].map(([id, digest]) => ({ id, digest }));
  }
}
