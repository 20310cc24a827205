import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { test } from "node:test";
import type { Hsm } from "../hsm/types.ts";
import { memoryHsm } from "../testing/memory-hsm.ts";
import { RootOfTrust } from "./root-of-trust.ts";

const [first, second] = [memoryHsm("first"), memoryHsm("second")];

/** The sidecar, started with one token and then with another. */
function sidecar() {
  const now: { hsm: Hsm } = { hsm: first };
  const lines: string[] = [];
  const hsm = new Proxy({} as Hsm, { get: (_, name) => Reflect.get(now.hsm, name) });
  return { now, lines, rootOfTrust: new RootOfTrust(hsm, (_level, message) => void lines.push(message)) };
}

const pemOf = async (hsm: Hsm) =>
  createPublicKey({ key: await hsm.makeJoinKey(), format: "der", type: "spki" }).export({
    type: "spki",
    format: "pem",
  });

test("the join key that is shown is the present token's: what is wrapped for another one's can never be opened", async () => {
  const { now, rootOfTrust } = sidecar();
  await rootOfTrust.look();
  assert.equal(rootOfTrust.joinPublicKey, await pemOf(first));
  now.hsm = second;
  assert.equal(await rootOfTrust.look(), true);
  assert.equal(rootOfTrust.joinPublicKey, await pemOf(second));
});

test("a token that is away for a while keeps its join key in the status: others have it in their lists", async () => {
  const { rootOfTrust } = sidecar();
  await rootOfTrust.look();
  first.lose();
  await rootOfTrust.look();
  assert.equal(rootOfTrust.status.ready, false);
  first.restore();
  assert.equal(rootOfTrust.joinPublicKey, await pemOf(first));
});

test("a token that makes no join key is asked again and again, and that is told once", async () => {
  const { now, lines, rootOfTrust } = sidecar();
  now.hsm = { ...first, makeJoinKey: () => Promise.reject(new Error("it is full")), status: () => first.status() };
  for (let turn = 0; turn < 3; turn += 1) await rootOfTrust.look();
  assert.deepEqual(lines, ["root of trust", "the HSM made no join key"]);
  now.hsm = first;
  await rootOfTrust.look();
  assert.equal(rootOfTrust.joinPublicKey, await pemOf(first));
});
