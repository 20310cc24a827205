import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeStore } from "../store/types.ts";
import { startReplication } from "./replication.ts";

const self = { name: "dc1-a", site: "dc1", identity: "CN=dc1-a" };
const tls = { certificateChainPem: "", privateKeyPem: "", trustBundlePem: "" };

/** A store that is there for many exchanges, one after another: each time that the HSM was away one ends and another begins. */
function aStore() {
  const listeners = new Set<(channel: string) => void>();
  const store = {
    incarnation: "a0000000-0000-4000-8000-000000000001",
    ownEndKnown: true,
    ownName: { isProved: async () => true },
    intake: { importing: undefined },
    clock: { isRefused: false },
    vector: () => new Map(),
    query: async () => [],
    setFences: () => undefined,
    setGate: () => undefined,
    setOpening: () => undefined,
    onNotification: (listener: (channel: string) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return { store: store as unknown as NodeStore, listeners };
}

test("an exchange that has ended leaves nothing behind in the store", async () => {
  const { store, listeners } = aStore();
  for (let life = 0; life < 10; life += 1) {
    const exchange = startReplication({
      ...{ store, self, tls, members: [{ ...self, standing: "Member" }], durability: "Local" },
      wrapFor: async () => ({ refusal: "no" }),
      nowMs: () => 0,
      log: () => undefined,
      surroundings: {
        after: () => () => undefined,
        random: () => 0.5,
        connect: () => Promise.reject(new Error("there is no other member")),
      },
    });
    assert.equal(listeners.size, 1);
    await exchange.stop();
  }
  assert.equal(listeners.size, 0);
});
