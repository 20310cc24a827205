import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { memoryHsm } from "../testing/memory-hsm.ts";
import { acceptHandover, wrapForJoiner } from "./handover.ts";
import { KeyError } from "./key-error.ts";
import { exportRows, foundKeyring, loadKeyring } from "./keyring.ts";
import type { MasterKeyring } from "./master-keyring.ts";

const cluster = "3f0d7f52-8a53-4ad0-9a3f-1f1a5d1f2f10";
const secret = () => Buffer.from("the bytes of an object's key....");
const context = Buffer.from("object 1 version 1 kind symmetric");
const code = (wanted: string) => (error: unknown) => (error as { code?: string }).code === wanted;
const flipped = (bytes: Buffer, at: number) => {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
  return copy;
};
const pem = (der: Buffer) =>
  createPublicKey({ key: der, format: "der", type: "spki" }).export({ type: "spki", format: "pem" }).toString();

test("what a founded keyring seals opens after the node's restart", async () => {
  const hsm = memoryHsm();
  const founded = await foundKeyring(hsm, cluster);
  const blob = founded.seal(secret(), context);
  const loaded = await loadKeyring(hsm, cluster, exportRows(founded));
  assert.deepEqual(loaded.unseal(blob, context), secret());
  assert.equal(loaded.verifies(Buffer.from("op"), founded.mac(Buffer.from("op"))), true);
  assert.equal(blob.includes(secret()), false);
});

test("a sealed object opens only whole and in its own context", async () => {
  const keyring = await foundKeyring(memoryHsm(), cluster);
  const blob = keyring.seal(secret(), context);
  for (let at = 5; at < blob.length; at += 1)
    assert.throws(() => keyring.unseal(flipped(blob, at), context), code("tampered"), `byte ${at}`);
  assert.throws(() => keyring.unseal(flipped(blob, 0), context), code("tampered"));
  assert.throws(() => keyring.unseal(flipped(blob, 4), context), code("unknownVersion"));
  assert.throws(() => keyring.unseal(blob, Buffer.from("object 2 version 1 kind symmetric")), code("tampered"));
  for (const length of [0, 1, 16, 32])
    assert.throws(() => keyring.unseal(blob.subarray(0, length), context), code("tampered"), `${length} bytes`);
});

test("a MAC is good for its message alone", async () => {
  const keyring = await foundKeyring(memoryHsm(), cluster);
  const other = await foundKeyring(memoryHsm(), cluster);
  const message = Buffer.from("operation 1");
  const mac = keyring.mac(message);
  assert.equal(keyring.verifies(message, mac), true);
  const wrong: [string, Buffer, Buffer][] = [
    ["another message", Buffer.from("operation 2"), mac],
    ["a changed MAC", message, flipped(mac, 20)],
    ["another version", message, flipped(mac, 3)],
    ["a short MAC", message, mac.subarray(0, 20)],
    ["no MAC", message, Buffer.alloc(0)],
    ["another fleet's MAC", message, other.mac(message)],
  ];
  for (const [what, text, candidate] of wrong) assert.equal(keyring.verifies(text, candidate), false, what);
});

test("rows open only in their own cluster, version and token", async () => {
  const hsm = memoryHsm();
  const [row] = exportRows(await foundKeyring(hsm, cluster));
  assert.ok(row);
  await assert.rejects(loadKeyring(hsm, "another cluster", [row]), code("tampered"));
  await assert.rejects(loadKeyring(hsm, cluster, [{ ...row, version: 2 }]), code("tampered"));
  await assert.rejects(loadKeyring(memoryHsm("other"), cluster, [row]), code("refused"));
  await assert.rejects(loadKeyring(hsm, cluster, []), RangeError);
  await assert.rejects(loadKeyring(hsm, cluster, [row, row]), code("tampered"));
});

test("a joiner opens what its sponsor sealed, from rows of its own token", async () => {
  const joiner = memoryHsm("joiner");
  const sponsor = await foundKeyring(memoryHsm("sponsor"), cluster);
  const blob = sponsor.seal(secret(), context);
  const handover = wrapForJoiner(sponsor, pem(await joiner.makeJoinKey()), cluster, "dc2-a");
  const joined = await acceptHandover(joiner, handover, cluster, "dc2-a");
  assert.deepEqual(joined.unseal(blob, context), secret());
  const reopened = await loadKeyring(joiner, cluster, exportRows(joined));
  assert.deepEqual(reopened.unseal(blob, context), secret());
  assert.deepEqual(masterKeyIn(sponsor, handover), false);
});

test("a handover is refused by everybody it was not made for", async () => {
  const joiner = memoryHsm("joiner");
  const thief = memoryHsm("thief");
  await thief.makeJoinKey();
  const handover = wrapForJoiner(
    await foundKeyring(memoryHsm(), cluster),
    pem(await joiner.makeJoinKey()),
    cluster,
    "dc2-a",
  );
  const refused: [string, Promise<MasterKeyring>][] = [
    ["another name", acceptHandover(joiner, handover, cluster, "dc2-b")],
    ["another cluster", acceptHandover(joiner, handover, "another", "dc2-a")],
    ["another token", acceptHandover(thief, handover, cluster, "dc2-a")],
    ["a changed byte", acceptHandover(joiner, flipped(handover, 100), cluster, "dc2-a")],
    ["cut short", acceptHandover(joiner, handover.subarray(0, 100), cluster, "dc2-a")],
    ["trailing bytes", acceptHandover(joiner, Buffer.concat([handover, Buffer.alloc(1)]), cluster, "dc2-a")],
    ["nothing", acceptHandover(joiner, Buffer.alloc(0), cluster, "dc2-a")],
  ];
  for (const [what, attempt] of refused) await assert.rejects(attempt, code("tampered"), what);
});

test("a sponsor wraps for RSA keys of 3072 bits and more only", async () => {
  const keyring = await foundKeyring(memoryHsm(), cluster);
  const small = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey;
  const curve = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey;
  for (const key of [small, curve]) {
    const text = key.export({ type: "spki", format: "pem" }).toString();
    assert.throws(() => wrapForJoiner(keyring, text, cluster, "dc2-a"), TypeError);
  }
});

test("a closed keyring does nothing any more", async () => {
  const keyring = await foundKeyring(memoryHsm(), cluster);
  const blob = keyring.seal(secret(), context);
  const mac = keyring.mac(context);
  keyring.close();
  const calls = [
    () => keyring.seal(secret(), context),
    () => keyring.unseal(blob, context),
    () => keyring.mac(context),
    () => keyring.verifies(context, mac),
  ];
  for (const call of calls) assert.throws(call, (error) => error instanceof KeyError && error.code === "closed");
});

test("without its HSM a node neither founds nor loads", async () => {
  const hsm = memoryHsm();
  const rows = exportRows(await foundKeyring(hsm, cluster));
  hsm.lose();
  await assert.rejects(foundKeyring(hsm, cluster), code("unavailable"));
  await assert.rejects(loadKeyring(hsm, cluster, rows), code("unavailable"));
  hsm.restore();
  assert.ok(await loadKeyring(hsm, cluster, rows));
});

function masterKeyIn(keyring: MasterKeyring, bytes: Buffer): boolean {
  return keyring.versions().some((key) => bytes.includes(key.secret.export()));
}
