import assert from "node:assert/strict";
import { test } from "node:test";
import { testKeyring } from "../testing/keyring.ts";
import { passOf } from "./pass.ts";

/** Of an application_name; PostgreSQL cuts off the rest. */
const textMaxBytes = 63;
const keyring = testKeyring();
const [one, two, three] = ["a", "b", "c"].map((name) => `CN=dc1-${name},OU=dc1,O=bank`) as [string, string, string];
const shown = passOf(() => keyring, one, two);

const cases: readonly (readonly [sentence: string, pass: () => string | undefined, isTheSame: boolean])[] = [
  ["whom it is shown knows it", () => passOf(() => keyring, one, two), true],
  ["who was shown it can show it to no third", () => passOf(() => keyring, one, three), false],
  ["nor show it to whom it came from", () => passOf(() => keyring, two, one), false],
  ["without that master key nobody makes it", () => passOf(testKeyring, one, two), false],
];
for (const [sentence, pass, isTheSame] of cases)
  test(`a member's pass: ${sentence}`, () => assert.equal(pass() === shown, isTheSame));

test("a member's pass: there is none without the master key, and PostgreSQL keeps all of it", () => {
  const none = () => {
    throw new Error("no master key");
  };
  assert.equal(passOf(none, one, two), undefined);
  assert.ok((shown?.length ?? 0) > 40 && (shown?.length ?? 0) <= textMaxBytes);
});
