import assert from "node:assert/strict";
import { test } from "node:test";
import type { Change } from "../objects/types.ts";
import { kinds, writable } from "./kinds.ts";
import { compareVersions, fitsLevel } from "./version.ts";

const change: Change = { kind: "change", id: "11111111-1111-4111-8111-111111111111", facts: 0, attributes: {} };

test("what every member knows is written as it is", () => {
  assert.deepEqual(writable([change], "0.1.0"), [change]);
});

test("what only newer members know is not written yet, and it says what has to be finished first", () => {
  assert.throws(() => writable([change], "0.0.9"), {
    code: "invalid",
    message: /feature level 0\.0\.9.*needs 0\.1\.0; finish the fleet's upgrade/,
  });
});

test("every kind names a version that is out", () => {
  for (const [kind, since] of Object.entries(kinds)) assert.match(since, /^\d+\.\d+\.\d+$/, kind);
});

const orders = [
  ["0.1.0", "0.1.0", 0],
  ["0.1.0", "0.2.0", -1],
  ["0.10.0", "0.9.9", 1],
  ["1.0.0", "0.99.99", 1],
  ["0.1.1", "0.1.0", 1],
  ["0.2.0-rc.1", "0.2.0", 0],
] as const;
for (const [one, other, order] of orders) {
  test(`${one} is ${["older than", "like", "newer than"][order + 1]} ${other}`, () => {
    assert.equal(Math.sign(compareVersions(one, other)), order);
    assert.equal(Math.sign(compareVersions(other, one)), order === 0 ? 0 : -order);
  });
}

const fits = [
  ["0.1.0", "0.1.0", "fits"],
  ["0.1.9", "0.1.0", "fits"],
  ["0.2.0", "0.1.0", "fits"],
  ["0.3.0", "0.1.0", "tooNew"],
  ["1.0.0", "0.9.0", "tooNew"],
  ["0.1.0", "0.2.0", "tooOld"],
  ["0.2.0", "0.2.1", "tooOld"],
] as const;
for (const [version, level, expected] of fits) {
  test(`software ${version} at feature level ${level}: ${expected}`, () =>
    assert.equal(fitsLevel(version, level), expected));
}
