import assert from "node:assert/strict";
import { test } from "node:test";
import { sharingWith } from "./shared-parts.ts";

const known = { name: "a", spec: { members: [{ name: "a" }, { name: "b" }], trust: { ca: "x" } } };
type Known = typeof known;
const copy = (): Known => structuredClone(known);

test("what is equal altogether is the known object itself", () => {
  assert.equal(sharingWith(copy(), known), known);
});

test("what differs is kept, and what is equal beside it is shared", () => {
  const fresh = copy();
  fresh.name = "b";
  fresh.spec.members[1] = { name: "c" };
  const shared = sharingWith(fresh, known);
  assert.deepEqual(shared, fresh);
  assert.equal(shared.spec.trust, known.spec.trust);
  assert.equal(shared.spec.members[0], known.spec.members[0]);
  assert.notEqual(shared.spec, known.spec);
});

test("of several known values each gives what it has", () => {
  const newer = { ...copy(), spec: { ...copy().spec, members: [{ name: "a" }, { name: "new" }] } };
  const shared = sharingWith(structuredClone({ ...newer, name: "b" }), newer, known);
  assert.equal(shared.spec, newer.spec);
  const mixed = sharingWith({ ...newer.spec, trust: { ca: "y" } }, newer.spec, { trust: { ca: "y" } });
  assert.equal(mixed.members, newer.spec.members);
});

test("neither of the two is changed", () => {
  const fresh = { ...copy(), name: "b" };
  const before = structuredClone(fresh);
  const { spec } = fresh;
  sharingWith(Object.freeze(fresh), known);
  assert.deepEqual([fresh, known], [before, copy()]);
  assert.equal(fresh.spec, spec);
});

const answers: [string, unknown, unknown][] = [
  ["a value where there was none", { a: { b: 1 } }, {}],
  ["nothing known", { a: 1 }, undefined],
  ["a field less", { a: { b: 1 } }, { a: { b: 1 }, c: 2 }],
  ["a field more", { a: { b: 1 }, c: 2 }, { a: { b: 1 } }],
  ["another field", { a: { c: 1 } }, { a: { b: 1 } }],
  ["a field without a value in place of another", { a: undefined }, { b: 1 }],
  ["a list in place of an object", { a: ["x"] }, { a: { 0: "x" } }],
  ["an object in place of a list", { a: { 0: "x" } }, { a: ["x"] }],
  ["a shorter list", [1, 2], [1, 2, 3]],
  ["null in place of an object", { a: null }, { a: {} }],
  ["another type of the same text", { a: 1 }, { a: "1" }],
  ["a field that every object inherits", JSON.parse('{"a":{"__proto__":{},"constructor":1}}'), { a: {} }],
];
for (const [what, fresh, before] of answers)
  test(`${what} is there afterwards as it came`, () => {
    assert.deepStrictEqual(sharingWith(fresh, before), structuredClone(fresh));
  });

test("what every object inherits is not taken for a part of it", () => {
  const fresh = JSON.parse('{"__proto__":{}}');
  assert.notEqual(Object.getOwnPropertyDescriptor(sharingWith(fresh, {}), "__proto__")?.value, Object.prototype);
});
