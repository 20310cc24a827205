import assert from "node:assert/strict";
import { test } from "node:test";
import { count } from "./counts.ts";
import type { Call, Deed } from "./record.ts";

/** A call as "client sent answered outcome", in seconds. */
function call(line: string): Call {
  const [client = "", sent, answered, outcome] = line.split(" ");
  const [sentMs, answeredMs] = [Number(sent) * 1000, Number(answered) * 1000];
  const [node = ""] = client.split("/");
  return { client, node, verb: "writeNote", object: "o", sentMs, answeredMs, outcome: outcome as Call["outcome"] };
}

const done = (atSeconds: number, node: string): Deed => ({ atMs: atSeconds * 1000, what: "kill -9", nodes: [node] });

const cases: readonly (readonly [sentence: string, seconds: number, deeds: readonly Deed[], ...calls: string[]])[] = [
  ["each call is answered", 1, [], "dc1-a/1 0 1 ok", "dc1-a/1 1 2 ok", "dc1-a/1 2 3 refused"],
  ["calls that fail at once", 7, [], "dc1-a/1 0 1 ok", "dc1-a/1 1 2 unknown", "dc1-a/1 2 3 unknown", "dc1-a/1 3 8 ok"],
  ["no call is answered any more", 9, [], "dc1-a/1 0 1 ok", "dc1-a/1 1 6 unknown", "dc1-a/1 6 10 unknown"],
  ["no call is ever answered", 10, [], "dc1-a/1 0 5 unknown", "dc1-a/1 5 10 unknown"],
  ["a client hangs while another is served", 9, [], "dc1-a/1 0 1 ok", "dc2-a/1 0 1 ok", "dc2-a/1 5 10 ok"],
  ["something was done to the node", 0, [done(2, "dc1-a")], "dc1-a/1 0 1 ok", "dc1-a/1 1 8 ok"],
  ["something was done to another node", 7, [done(2, "dc2-a")], "dc1-a/1 0 1 ok", "dc1-a/1 1 8 ok"],
];

for (const [sentence, seconds, deeds, ...lines] of cases)
  test(`nobody was served for ${seconds} s: ${sentence}`, () => {
    assert.equal(count({ calls: lines.map(call), deeds }).longestOutageElsewhereMs, seconds * 1000);
  });

test("what the machine stood still is no outage of the node's", () => {
  const calls = ["dc1-a/1 0 1 ok", "dc1-a/1 1 14 ok"].map(call);
  const stalls = [
    { fromMs: 500, toMs: 3_000 },
    { fromMs: 5_000, toMs: 10_000 },
  ];
  const { longestOutageElsewhereMs, machineStoodStillMs } = count({ calls, deeds: [], stalls });
  assert.deepEqual([longestOutageElsewhereMs, machineStoodStillMs], [6_000, 7_500]);
});
