import assert from "node:assert/strict";
import { test } from "node:test";
import type { Observed } from "../ports/types.ts";
import { anObserved, desiredInTest, type NodeInTest, type WorldInTest } from "../testing/builders.ts";

/** How the nodes of dc1 are told to list the members. */
function membersFor(observed: Observed) {
  const [first] = desiredInTest(observed).nodes;
  assert.ok(first);
  return first.kmsNode.spec.members;
}

const departedB = (lastSequence: number) => ({
  "dc1-b": { standing: "Departed", incarnation: "log-b", lastSequence } as const,
});
const holdsOfB = (sequence: number, incarnation = "log-b"): NodeInTest => ({
  stage: "member",
  status: { departures: [{ name: "dc1-b", incarnation, sequence }] },
});
const ends: readonly (readonly [string, WorldInTest, number])[] = [
  ["stays where the members agreed", { listed: departedB(7), nodes: { "dc1-b": "absent" } }, 7],
  [
    "rises to what a member of a site that was away took in before it heard of it",
    { listed: departedB(7), nodes: { "dc1-b": "absent", "dc3-a": holdsOfB(9) } },
    9,
  ],
  ["never falls", { listed: departedB(7), nodes: { "dc1-b": "absent", "dc3-a": holdsOfB(5) } }, 7],
  [
    "does not rise by what a member says of another life",
    { listed: departedB(7), nodes: { "dc1-b": "absent", "dc3-a": holdsOfB(9, "log-c") } },
    7,
  ],
  [
    "does not rise by what the departed node itself says",
    { listed: departedB(7), nodes: { "dc1-b": { ...holdsOfB(9), spec: { membership: { action: "Leave" } } } } },
    7,
  ],
];
for (const [what, world, end] of ends)
  test(`the end of a departed member's log ${what}`, () => {
    const list = membersFor(anObserved(world));
    assert.equal(list.find(({ name }) => name === "dc1-b")?.lastSequence, end);
  });

test("of two ends of one log that different sites list the higher one is right", () => {
  const observed = anObserved({ listed: departedB(7), nodes: { "dc1-b": "absent" } });
  const raised = anObserved({ listed: departedB(8), nodes: { "dc1-b": "absent" } });
  const sites = observed.sites.map(
    (view) => raised.sites.find(({ name }) => name === view.name && name === "dc2") ?? view,
  );
  const list = membersFor({ ...observed, sites });
  assert.equal(list.find(({ name }) => name === "dc1-b")?.lastSequence, 8);
});
