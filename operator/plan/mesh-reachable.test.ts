import assert from "node:assert/strict";
import { test } from "node:test";
import { aView, inWords, type NodeInTest } from "../testing/builders.ts";

/** What is planned while dc1-b waits and has measured that, with these things about the members dc1-a, dc2-a and dc2-b. */
function planned(
  links: Readonly<Record<string, boolean>> | undefined,
  members: Readonly<Record<string, NodeInTest>> = {},
) {
  const peers = Object.entries(links ?? {}).map(([name, connected]) => ({ name, connected }));
  const waiting: NodeInTest = { stage: "waiting", ...(links === undefined ? {} : { status: { peers } }) };
  const all = { "dc1-a": "member", "dc2-a": "member", "dc2-b": "member", "dc1-b": waiting, ...members } as const;
  return aView({ others: "absent", nodes: all }).plan;
}

const joins = "lock for join of dc1-b";

// A case is a sentence, what the node that waits measured, about the members, and what is done.
const cases: readonly (readonly [string, ...Parameters<typeof planned>, string[]])[] = [
  ["joins when it reaches every member", { "dc1-a": true, "dc2-a": true, "dc2-b": true }, {}, [joins]],
  ["does not join while it does not reach one of them", { "dc1-a": true, "dc2-a": true, "dc2-b": false }, {}, []],
  [
    "joins although it does not reach a member that does not serve either",
    { "dc1-a": true, "dc2-a": true, "dc2-b": false },
    { "dc2-b": { stage: "member", serving: false } },
    [joins],
  ],
  ["joins when it is of a version that measures nothing before", undefined, {}, [joins]],
];
for (const [sentence, links, members, does] of cases)
  test(`a node that waits ${sentence}`, () => {
    const done = inWords(planned(links, members)).does.filter((one) => one.startsWith("lock"));
    assert.deepEqual(done, does);
  });

test("the gate says between which places nothing comes through", () => {
  const links = { "dc1-a": true, "dc2-a": false, "dc2-b": false };
  const [closed] = planned(links).blocked.filter(({ gate }) => gate === "meshReachable");
  assert.equal(closed?.message, "does not reach dc2-a, dc2-b");
  assert.match(
    closed?.remedy ?? "",
    /between dc1-b and dc2-a \(dc2-a\.mesh, port 5432\), dc2-b \(dc2-b\.mesh, port 5432\)/,
  );
});
