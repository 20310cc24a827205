import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubernetesObject, PassPorts } from "./ports/types.ts";
import { reconcile } from "./reconcile.ts";
import { aCluster, anObserved, replaced, type WorldInTest } from "./testing/builders.ts";
import { FakeClock } from "./testing/fake-clock.ts";
import { quietLog } from "./testing/quiet-log.ts";
import { SimulatedSite } from "./testing/simulated-site.ts";

const lacking = replaced("Service", "dc1-b-kmip");
const same = (all: KubernetesObject[]) => all;

/** The pass over a world in which one Service of dc1-b is missing, and the API server refuses it for ever. */
async function passOver(world: WorldInTest): Promise<unknown> {
  const cluster = world.cluster ?? aCluster();
  const api = new SimulatedSite("dc1", cluster, () => {}).api();
  const apply = async (object: KubernetesObject) => {
    if (object.kind === "Service") throw new Error("exceeded quota");
    // Its trust, which is of CAs that are none in this world, is not what this is about.
    if (object.kind === "KmsNode") throw Object.assign(new Error("it was changed"), { code: "conflict" });
    return object;
  };
  const ports: PassPorts = {
    observe: async () => anObserved({ ...world, objects: (all) => lacking((world.objects ?? same)(all)) }),
    api: { ...api, apply, writeStatus: async () => false },
    lock: { take: async () => true, isHeld: () => false, release: async () => {} },
    ...{ log: quietLog(), clock: new FakeClock(), signal: new AbortController().signal },
    nodeImage: { repository: "localhost/keyfleet-node", pullPolicy: "Never" },
  };
  return await reconcile("bank", ports);
}

const upgrade = aCluster((c) => (c.spec.version = "0.2.0"));
const heldElsewhere = { heldByMe: false, holder: "dc2", operation: "upgrade", node: "dc2-a" };

/** The world beside the refused action, and when the pass that failed asks to look again all the same. */
const passes: readonly (readonly [string, WorldInTest, number | undefined])[] = [
  ["at the next step at once when the lock was taken", { cluster: upgrade }, 50],
  ["soon when something was put right", { objects: replaced("StatefulSet", "dc1-a") }, 1_000],
  ["as ever while fleet work waits", { cluster: upgrade, lock: heldElsewhere }, 5_000],
  ["when something changes, or the backoff ends, when nothing else is to do", {}, undefined],
];
for (const [when, world, requeueAfterMs] of passes)
  test(`a pass of which one action failed looks again ${when}`, async () => {
    const error = await passOver(world).catch((thrown: unknown) => thrown);
    assert.ok(error instanceof Error);
    assert.equal(error.message, "exceeded quota");
    assert.equal((error as { requeueAfterMs?: number }).requeueAfterMs, requeueAfterMs);
  });
