import assert from "node:assert/strict";
import { test } from "node:test";
import { assignAddresses, type Service } from "./load-balancer.ts";

const prefix = "10.203.1.";

function service(name: string, more: { ip?: string; wanted?: string; type?: string; leaving?: boolean } = {}): Service {
  return {
    metadata: { namespace: "keys", name, ...(more.leaving ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}) },
    spec: { type: more.type ?? "LoadBalancer", ...(more.wanted ? { loadBalancerIP: more.wanted } : {}) },
    status: { loadBalancer: more.ip ? { ingress: [{ ip: more.ip }] } : {} },
  };
}

const cases: readonly { it: string; services: readonly Service[]; gives: readonly string[] }[] = [
  { it: "gives new Services the lowest addresses", services: [service("a"), service("b")], gives: ["a 1", "b 2"] },
  { it: "leaves a Service its address", services: [service("a", { ip: `${prefix}1` })], gives: [] },
  { it: "never gives an address twice", services: [service("b"), service("a", { ip: `${prefix}1` })], gives: ["b 2"] },
  { it: "gives the address asked for", services: [service("a", { wanted: `${prefix}9` })], gives: ["a 9"] },
  { it: "refuses an address outside its range", services: [service("a", { wanted: "10.9.9.9" })], gives: [] },
  {
    it: "lets one wait while the address it wants is taken",
    services: [service("a", { ip: `${prefix}3` }), service("b", { wanted: `${prefix}3` })],
    gives: [],
  },
  { it: "ignores Services of other types", services: [service("a", { type: "ClusterIP" })], gives: [] },
  { it: "ignores Services that are being deleted", services: [service("a", { leaving: true })], gives: [] },
  {
    it: "gives none when the range is used up",
    services: [
      ...Array.from({ length: 250 }, (_, n) => service(`s${n}`, { ip: `${prefix}${n + 1}` })),
      service("late"),
    ],
    gives: [],
  },
];

for (const { it, services, gives } of cases) {
  test(`the allocator ${it}`, () => {
    const given = assignAddresses(services, prefix).map(({ path, ip }) => {
      assert.ok(path.startsWith("/api/v1/namespaces/keys/services/"));
      return `${path.split("/").at(-1)} ${ip.slice(prefix.length)}`;
    });
    assert.deepEqual(given, gives);
  });
}
