import assert from "node:assert/strict";
import { test } from "node:test";
import { SecondChance } from "./second-chance.ts";

/** What is shed in turn, after these were looked up. */
function shedAfter(lookedUp: readonly string[]): string[] {
  const map = new SecondChance<string>();
  for (const key of ["a", "b", "c"]) map.set(key, key.toUpperCase());
  for (const key of lookedUp) map.get(key);
  return Array.from({ length: 3 }, () => map.shed() ?? "nothing");
}

const cases: readonly (readonly [name: string, lookedUp: readonly string[], shed: string])[] = [
  ["what was never looked up goes in the order in which it came", [], "A B C"],
  ["what was looked up stays until all others have gone", ["a"], "B C A"],
  ["where all were looked up, the first goes", ["c", "b", "a"], "A B C"],
  ["to be looked up often is no more than once", ["b", "b", "b"], "A C B"],
];
for (const [name, lookedUp, shed] of cases) {
  test(name, () => assert.equal(shedAfter(lookedUp).join(" "), shed));
}

test("a second chance is given once: who was not looked up again goes", () => {
  const map = new SecondChance<number>();
  map.set("a", 1);
  map.set("b", 2);
  map.get("a");
  assert.equal(map.shed(), 2);
  map.set("c", 3);
  map.get("c");
  assert.equal(map.shed(), 1);
});

test("set and delete tell what was there, and an empty map sheds nothing", () => {
  const map = new SecondChance<number>();
  assert.equal(map.set("a", 1), undefined);
  assert.equal(map.set("a", 2), 1);
  assert.deepEqual([map.get("a"), map.first(), map.values(), map.size], [2, ["a", 2], [2], 1]);
  assert.equal(map.delete("a"), 2);
  assert.deepEqual([map.delete("a"), map.shed(), map.first(), map.size], [undefined, undefined, undefined, 0]);
  map.set("a", 3);
  map.clear();
  assert.equal(map.get("a"), undefined);
});
