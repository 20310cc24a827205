import assert from "node:assert/strict";
import { test } from "node:test";
import { aNode } from "../testing/facts.ts";
import { departures, isOut } from "./departures.ts";

const store = {
  incarnation: "log-1",
  vector: () =>
    new Map([
      ["log-1", 7],
      ["log-2", 5],
    ]),
};
const [self, peer] = aNode().spec.members;

test("nothing is said while nobody goes", () => {
  assert.deepEqual(departures(aNode(), store), []);
});

const cases = [
  ["a member that leaves", [{ ...peer, standing: "Leaving", incarnation: "log-2" }], [["dc2-a", "log-2", 5]]],
  ["a fenced member", [{ ...peer, standing: "Fenced", incarnation: "log-2" }], [["dc2-a", "log-2", 5]]],
  ["one of which nothing is held", [{ ...peer, standing: "Fenced", incarnation: "log-9" }], [["dc2-a", "log-9", 0]]],
  ["itself, also before the list knows its log", [{ ...self, standing: "Leaving" }], [["dc1-a", "log-1", 7]]],
  ["nobody whose log is unknown", [{ ...peer, standing: "Fenced" }], []],
  [
    "a departed member of which it holds more than the others agreed on",
    [{ ...peer, standing: "Departed", incarnation: "log-2", lastSequence: 4 }],
    [["dc2-a", "log-2", 5]],
  ],
  [
    "nobody whose log it holds up to its end",
    [{ ...peer, standing: "Departed", incarnation: "log-2", lastSequence: 5 }],
    [],
  ],
  ["not itself, when it has departed", [{ ...self, standing: "Departed", incarnation: "log-1", lastSequence: 4 }], []],
] as const;
for (const [what, members, expected] of cases) {
  test(`a node says how far it holds the log of: ${what}`, () => {
    const node = aNode({ members: members as never });
    assert.deepEqual(
      departures(node, store).map(({ name, incarnation, sequence }) => [name, incarnation, sequence]),
      expected,
    );
  });
}

test("a node whose log the others take no more of says how far they hold it, so that it can leave", () => {
  const node = aNode({ members: [{ ...self, standing: "Leaving" }] as never });
  assert.deepEqual(departures(node, store, { held: 4 }), [{ name: "dc1-a", incarnation: "log-1", sequence: 4 }]);
});

test("what is said of an earlier life does not put the present one out", () => {
  const entry = { ...(self as NonNullable<typeof self>), standing: "Departed", incarnation: "log-0" } as const;
  assert.equal(isOut(entry, "log-0"), true);
  assert.equal(isOut(entry, "log-1"), false);
  assert.equal(isOut({ ...entry, standing: "Member" }, "log-0"), false);
});
