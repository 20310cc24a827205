import assert from "node:assert/strict";
import { test } from "node:test";
import { aView, inWords, type WorldInTest } from "./builders.ts";

/** The world, what the operator of dc1 does, and the gates that it reports. */
export type Case = readonly [
  sentence: string,
  world: WorldInTest,
  does: readonly string[],
  waitsFor?: readonly string[],
];

/** One test for each sentence. */
export function checkCases(rooms: Readonly<Record<string, readonly Case[]>>): void {
  for (const [room, cases] of Object.entries(rooms))
    for (const [sentence, world, does, waitsFor = []] of cases)
      test(`${room}: ${sentence}`, () => {
        const words = inWords(aView(world).plan);
        assert.deepEqual(
          words.does.filter((one) => !isNoise(one, does)),
          [...does],
        );
        for (const gate of waitsFor) assert.ok(words.waitsFor.includes(gate), `${gate} is not in ${words.waitsFor}`);
      });
}

/** Repairs of KmsNodes and StatefulSets that follow from how a world was changed, where the case is about something else. */
function isNoise(did: string, expected: readonly string[]): boolean {
  return did.startsWith("apply") && !expected.some((one) => one.startsWith("apply"));
}
