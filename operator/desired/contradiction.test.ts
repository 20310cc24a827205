import assert from "node:assert/strict";
import { test } from "node:test";
import { anObserved, desiredInTest, type NodeInTest, type WorldInTest } from "../testing/builders.ts";

/** A member that says so of its links. */
const linked = (links: Readonly<Record<string, boolean>>): NodeInTest => ({
  stage: "member",
  status: { peers: Object.entries(links).map(([name, connected]) => ({ name, connected })) },
});
const silent = linked({ "dc1-a": true, "dc3-a": true });
const silentOfDc1 = linked({ "dc2-a": true, "dc3-a": true });

const cases: readonly (readonly [string, WorldInTest["nodes"], boolean])[] = [
  [
    "counts while it and the others agree on their links",
    { "dc2-a": silent, "dc1-a": linked({ "dc2-a": true }) },
    true,
  ],
  [
    "does not count when all that it says it is linked to have no link to it: its word is old",
    { "dc2-a": silent, "dc1-a": linked({ "dc2-a": false }), "dc3-a": linked({ "dc2-a": false }) },
    false,
  ],
  [
    "is not judged by nodes of its own site, which may have gone with it",
    { "dc2-a": silent, "dc2-b": linked({ "dc2-a": true }), "dc1-a": linked({ "dc2-a": false }) },
    false,
  ],
  [
    "counts while one of another site has a link to it",
    { "dc2-a": silent, "dc1-a": linked({ "dc2-a": false }), "dc3-a": linked({ "dc2-a": true }) },
    true,
  ],
  [
    "does not count when one has a link to it whose own word is old too, as when its site has just come back",
    { "dc2-a": silent, "dc1-a": silentOfDc1, "dc3-a": linked({ "dc2-a": false, "dc1-a": false }) },
    false,
  ],
  [
    "does not count for the word of one that is no member any more",
    { "dc2-a": silent, "dc1-a": silentOfDc1, "dc3-a": linked({ "dc2-a": false }) },
    false,
  ],
  [
    "counts while one has a link to it that is itself only cut off from this site",
    {
      ...{ "dc2-a": silent, "dc1-a": linked({ "dc2-a": true, "dc3-a": false }) },
      "dc3-a": linked({ "dc2-a": false, "dc1-a": false }),
    },
    true,
  ],
  [
    "counts when it says itself that its links are down: then it is only cut off",
    { "dc2-a": linked({ "dc1-a": false }), "dc1-a": linked({ "dc2-a": false }) },
    true,
  ],
  [
    "counts when only one that does not serve has no link to it",
    { "dc2-a": silent, "dc1-a": { ...linked({ "dc2-a": false }), serving: false } },
    true,
  ],
];
for (const [sentence, nodes, serving] of cases) {
  test(`a node of another site ${sentence}`, () => {
    const observed = anObserved({ site: "dc3", ...(nodes === undefined ? {} : { nodes }) });
    const facts = desiredInTest(observed).fleet.nodes.find(({ name }) => name === "dc2-a");
    assert.equal(facts?.serving, serving);
  });
}
