import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { KnownRows } from "./known-rows.ts";
import type { Operation } from "./types.ts";

/** Kinds of the operations on one object in a transaction, and whether it is presumed not to be there. */
const cases: readonly (readonly [sentence: string, kinds: readonly string[], presumed: boolean])[] = [
  ["a create", ["create"], true],
  ["a create and a change", ["create", "change"], true],
  ["a change", ["change"], false],
  ["a change that comes before the create", ["change", "create"], false],
];

for (const [sentence, kinds, presumed] of cases) {
  test(`${sentence}: the object is ${presumed ? "presumed to be new" : "looked for"}`, () => {
    const id = randomUUID();
    assert.deepEqual(
      [...new KnownRows().presumedNew(kinds.map((kind) => anOperation(kind, id)))],
      presumed ? [id] : [],
    );
  });
}

test("after one that was there, of the next transactions one in twenty-one finds out again at most", () => {
  const rows = new KnownRows();
  let madeAgain = 0;
  for (let transaction = 0; transaction < 210; transaction += 1) {
    if (rows.presumedNew([anOperation("create", randomUUID())]).size === 0) continue;
    madeAgain += 1;
    rows.wasThere();
  }
  assert.equal(madeAgain, 10);
});

function anOperation(kind: string, object: string): Operation {
  const origin = randomUUID();
  return { origin, seq: 1, hlc: 1n, kind, object, payload: Buffer.alloc(0), mac: Buffer.alloc(0) };
}
