import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { sameValue } from "./same-value.ts";
import type { Json } from "./types.ts";

const values: readonly Json[] = [
  null,
  true,
  false,
  0,
  1,
  "",
  "1",
  [],
  [null],
  [1, 2],
  [2, 1],
  [1, 2, 3],
  {},
  { 0: 1, 1: 2 },
  { length: 0 },
  { type: 7, value: "a" },
  { type: 7, value: "b" },
  { type: 7 },
  { type: 7, value: null },
  { type: 1, value: [{ tag: 1, item: { type: 7, value: "a" } }] },
  { type: 1, value: [{ tag: 1, item: { type: 7, value: "b" } }] },
  { toString: "a" },
  { hasOwnProperty: 1 },
];

test("values are the same where Node's own comparison says so", () => {
  for (const one of values)
    for (const other of values)
      assert.equal(
        sameValue(structuredClone(one), other),
        isDeepStrictEqual(one, other),
        `${JSON.stringify(one)} and ${JSON.stringify(other)}`,
      );
});

test("members may stand in another order, and have no prototype", () => {
  assert.ok(sameValue({ a: 1, b: [2] }, { b: [2], a: 1 }));
  assert.ok(sameValue(Object.assign(Object.create(null), { a: 1 }), { a: 1 }));
});
