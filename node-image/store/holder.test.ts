import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json } from "../objects/types.ts";
import { testKeyring } from "../testing/keyring.ts";
import { type Continued, continuedFrom, continuedWith, encodeContinued, holderOf, isProved, proved } from "./holder.ts";

const first = continuedWith(undefined, { incarnation: "one", end: 5, holder: "one" });
const second = continuedWith(first, { incarnation: "two", end: 3, holder: "one" });

const cases: readonly (readonly [
  sentence: string,
  continued: Continued | undefined,
  incarnation: string,
  vector: readonly (readonly [string, number])[],
  holder: string,
])[] = [
  ["a log that was never ended holds its own rights", undefined, "one", [["one", 9]], "one"],
  ["the next log holds them in the name of the first", first, "two", [["one", 5]], "one"],
  [
    "and so does the one after",
    second,
    "three",
    [
      ["one", 5],
      ["two", 3],
    ],
    "one",
  ],
  ["also while what was ended is not all here", second, "three", [["one", 4]], "one"],
  [
    "the first log turns out to go further: it was an older disk, and nothing is held",
    second,
    "three",
    [["one", 6]],
    "three",
  ],
  [
    "a later one turns out to go further: the same",
    second,
    "three",
    [
      ["one", 5],
      ["two", 4],
    ],
    "three",
  ],
];

for (const [sentence, continued, incarnation, vector, holder] of cases) {
  test(sentence, () => {
    assert.equal(holderOf(continued, incarnation, new Map(vector)), holder);
    const kept = continuedFrom(JSON.parse(encodeContinued(continued)));
    assert.equal(holderOf(kept, incarnation, new Map(vector)), holder);
  });
}

const keyring = testKeyring();
const changes: readonly (readonly [sentence: string, change: Readonly<Record<string, Json>>, isProved: boolean])[] = [
  ["as it was written is proved", {}, true],
  ["with the rights of another node is not", { holder: "other" }, false],
  ["with another end of a log is not", { logs: { one: 6, two: 3 } }, false],
  ["with a MAC of a wrong length is not", { mac: "x" }, false],
  ["without a MAC is not", { mac: null }, false],
];
for (const [sentence, change, expected] of changes)
  test(`what is kept of earlier logs ${sentence}`, () => {
    const kept = continuedFrom({ ...JSON.parse(encodeContinued(proved(keyring, second))), ...change });
    assert.equal(kept !== undefined && isProved(keyring, kept), expected);
  });

test("what is held anew after an older disk is held from the log that it began with", () => {
  const anew = continuedWith(second, { incarnation: "three", end: 2, holder: "three" });
  assert.equal(
    holderOf(
      anew,
      "four",
      new Map([
        ["one", 6],
        ["three", 2],
      ]),
    ),
    "three",
  );
});

test("logs that are remembered have a limit, beyond which rights are held anew", () => {
  let continued = first;
  for (let count = 1; count < 1_000; count += 1)
    continued = continuedWith(continued, { incarnation: `${count}`, end: 1, holder: "one" });
  assert.equal(continued?.logs.size, 1_000);
  assert.equal(continuedWith(continued, { incarnation: "more", end: 1, holder: "one" }), undefined);
});

test("what is no such setting is nothing", () => {
  for (const value of [undefined, null, 7, "x", [], {}, { holder: "one" }, { holder: 1, logs: {} }])
    assert.equal(continuedFrom(value), undefined);
});
