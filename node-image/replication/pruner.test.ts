import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeStore, Vector } from "../store/types.ts";
import { Pruner } from "./pruner.ts";
import type { MeshMember, PeerHead } from "./types.ts";

const absentMs = 1_000;

/** How a member stands to this node, which holds 10 operations of the one log that there is. */
interface Other {
  readonly name: string;
  readonly holds: number;
  /** Since when it was not heard, ms; absent: it is heard. */
  readonly silentMs?: number;
  readonly standing?: MeshMember["standing"];
}

interface Case {
  readonly sentence: string;
  readonly others: readonly Other[];
  /** Up to where the log may be pruned. */
  readonly upTo: number | undefined;
}

const heard = (name: string, holds: number): Other => ({ name, holds });
const gone = (name: string, holds: number): Other => ({ name, holds, silentMs: absentMs + 1 });
const missed = (name: string, holds: number): Other => ({ name, holds, silentMs: absentMs - 1 });

const cases: readonly Case[] = [
  { sentence: "a fleet of one prunes all", others: [], upTo: 10 },
  { sentence: "what all hold is pruned", others: [heard("a", 8), heard("b", 7)], upTo: 7 },
  { sentence: "who is not heard for a moment is waited for", others: [heard("a", 8), missed("b", 3)], upTo: 3 },
  { sentence: "the greater part gives up who was silent for long", others: [heard("a", 8), gone("b", 3)], upTo: 8 },
  { sentence: "the lesser part gives up nobody", others: [gone("a", 4), gone("b", 3)], upTo: 3 },
  { sentence: "half of the fleet gives up nobody", others: [heard("a", 8), gone("b", 3), gone("c", 2)], upTo: 2 },
  {
    sentence: "who is not heard may already be with the others, and does not count to the greater part",
    others: [missed("a", 8), gone("b", 3)],
    upTo: 3,
  },
  {
    sentence: "who was removed is not waited for",
    others: [heard("a", 8), { name: "b", holds: 3, silentMs: 1, standing: "Departed" }],
    upTo: 8,
  },
  {
    sentence: "nothing is pruned while somebody joins",
    others: [heard("a", 8), { name: "b", holds: 8, standing: "Joining" }],
    upTo: undefined,
  },
];

const memberOf = ({ name, standing = "Member" }: Other): MeshMember => ({
  name,
  site: name,
  identity: name,
  standing,
});

for (const { sentence, others, upTo } of cases) {
  test(`pruning: ${sentence}`, async () => {
    const commons: Vector[] = [];
    const store: Pick<NodeStore, "vector" | "prune" | "query"> = {
      vector: () => new Map([["log", 10]]),
      prune: async (common) => {
        commons.push(common);
        return 0;
      },
      query: async (text) =>
        text.startsWith("select")
          ? others.map(({ name, holds, silentMs = 0 }) => ({
              identity: name,
              vector: { log: holds },
              silent: silentMs,
            }))
          : [],
    };
    const heads = others.flatMap(({ name, holds, silentMs }): [string, Map<string, PeerHead>][] =>
      silentMs === undefined ? [[name, new Map([["log", { seq: holds, base: 0, mac: "" }]])]] : [],
    );
    const options = { keepMs: 0, absentMs, nowMs: () => 0, log: () => undefined };
    const pruner = new Pruner({ ...options, store: store as NodeStore });
    const self = memberOf({ name: "self", holds: 10 });
    await pruner.turn([self, ...others.map(memberOf)], self.identity, new Map(heads));
    assert.equal(commons[0]?.get("log"), upTo);
  });
}
