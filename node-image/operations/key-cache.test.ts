import assert from "node:assert/strict";
import { createSecretKey } from "node:crypto";
import { test } from "node:test";
import type { Keyring } from "../keys/types.ts";
import { tag } from "../kmip/tags.ts";
import { blockCipherMode as mode } from "../objects/enumerations.ts";
import type { ManagedObject } from "../objects/types.ts";
import { active, bytesOf, cryptographicOperation as operation, part } from "../testing/cryptography-requests.ts";
import { item } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { kmipSite } from "../testing/kmip-site.ts";
import { keyCache, keyCacheLimits } from "./key-cache.ts";
import { turns } from "./turns.ts";

const keyring = testKeyring();

function object(id: string, sealed: Buffer | undefined = Buffer.from(id)): ManagedObject {
  return { id, owner: "o", objectType: 2, facts: 0, attributes: new Map(), sealed };
}

/** A cache with a clock, and a count of how often a key had to be opened. */
function cache() {
  let time = 0;
  let opened = 0;
  const keys = keyCache(() => new Date(time));
  const use = async (given: ManagedObject, ring: Keyring = keyring) => {
    await keys.keyOf(given, ring, async () => {
      opened += 1;
      return { key: createSecretKey(Buffer.alloc(32)), mayBeKept: true };
    });
    return opened;
  };
  const pass = (ms: number) => {
    time += ms;
  };
  return { keys, use, pass };
}

test("a key is opened once, and again when its bytes, its keyring or its time are other ones, or it was dropped", async () => {
  const { keys, use, pass } = cache();
  assert.equal(await use(object("a")), 1);
  assert.equal(await use(object("a")), 1);
  assert.equal(await use(object("a", Buffer.from("other bytes"))), 2);
  assert.equal(await use(object("a", Buffer.from("other bytes")), testKeyring()), 3);
  keys.drop("a");
  assert.equal(keys.size, 0);
  assert.equal(await use(object("a")), 4);
  pass(keyCacheLimits.ageMs);
  assert.equal(await use(object("a")), 5);
  keys.clear();
  assert.equal(keys.size, 0);
});

test("an object without bytes is never kept, and a failure keeps nothing", async () => {
  const { keys, use } = cache();
  await use({ ...object("a"), sealed: undefined });
  await assert.rejects(keys.keyOf(object("b"), keyring, () => Promise.reject(new Error("tampered"))));
  assert.equal(keys.size, 0);
});

test("the key that was not used for the longest time makes room", async () => {
  const { keys, use } = cache();
  for (let at = 0; at < keyCacheLimits.keys; at++) await use(object(`k${at}`));
  const before = await use(object("k0"));
  await use(object("new"));
  assert.equal(keys.size, keyCacheLimits.keys);
  assert.equal(await use(object("k0")), before + 1, "k0 was used lately, it stayed");
  assert.equal(await use(object("k1")), before + 2, "k1 went");
});

test("a material is opened once, each caller gets a copy of its own, and closed keyrings give nothing", () => {
  const keys = keyCache(() => new Date(0));
  let opened = 0;
  const state = { closed: false };
  const ring: Keyring = {
    ...keyring,
    get closed() {
      return state.closed;
    },
  };
  const open = () => {
    opened += 1;
    return { format: 1, subtype: 0, algorithm: 3, lengthBits: 256, bytes: Buffer.alloc(32, 7) };
  };
  for (let at = 0; at < 3; at++) {
    const material = keys.materialOf(object("a"), ring, open);
    assert.deepEqual(material, { format: 1, subtype: 0, algorithm: 3, lengthBits: 256, bytes: Buffer.alloc(32, 7) });
    material.bytes.fill(0);
  }
  assert.equal(opened, 1);
  keys.materialOf(object("a", Buffer.from("other bytes")), ring, open);
  assert.equal(opened, 2);
  state.closed = true;
  keys.materialOf(object("a", Buffer.from("other bytes")), ring, open);
  assert.equal(opened, 3, "nothing is taken from what was kept");
  keys.drop("a");
  assert.equal(keys.size, 0);
});

test("what is no longer kept of a material is wiped: dropped, over, or the cache emptied", () => {
  let time = 0;
  const keys = keyCache(() => new Date(time));
  const made: Buffer[] = [];
  const slow = Buffer.allocUnsafeSlow;
  Buffer.allocUnsafeSlow = (size) => {
    const buffer = slow(size);
    made.push(buffer);
    return buffer;
  };
  try {
    const keep = (id: string) =>
      keys.materialOf(object(id), keyring, () => ({
        format: 1,
        subtype: 0,
        algorithm: 3,
        lengthBits: 256,
        bytes: Buffer.alloc(32, 7),
      }));
    for (const id of ["a", "b", "c"]) keep(id);
    assert.equal(made.length, 3);
    assert.ok(made.every((kept) => kept.equals(Buffer.alloc(32, 7))));
    keys.drop("a");
    time += keyCacheLimits.ageMs;
    keep("b");
    keep("d");
    keys.clear();
    assert.ok(made.every((kept) => kept.equals(Buffer.alloc(32))));
  } finally {
    Buffer.allocUnsafeSlow = slow;
  }
});

test("a large material is never kept", () => {
  const keys = keyCache(() => new Date(0));
  const bytes = Buffer.alloc(4096, 7);
  keys.materialOf(object("a"), keyring, () => ({ format: 1, subtype: 0, algorithm: 0, lengthBits: 0, bytes }));
  assert.equal(keys.size, 0);
});

test("through the door: Get unseals a key once, and what is destroyed is neither kept nor given", async (context) => {
  let unsealed = 0;
  const unseal = (blob: Buffer, about: Buffer) => {
    unsealed += 1;
    return keyring.unseal(blob, about);
  };
  const keys = keyCache(() => new Date());
  const site = await kmipSite({ keyring: { ...keyring, unseal }, keys });
  context.after(() => site.close());
  const app = await site.connect("O=bank, CN=app");
  const key = await app.create({ "Cryptographic Usage Mask": 12 });
  const get = async () => bytesOf(await app.call(operation.get, part.id(key)), tag.KeyMaterial);
  const first = await get();
  assert.deepEqual([await get(), await get()], [first, first]);
  assert.notDeepEqual(first, Buffer.alloc(first.length), "what the first answer zeroed was its own");
  assert.deepEqual([unsealed, keys.size], [1, 1]);
  await app.destroy(key);
  assert.equal(keys.size, 0);
  await assert.rejects(get());
});

test("through the door: a key is unsealed once for many uses, and not kept when it is revoked", async (context) => {
  let unsealed = 0;
  const unseal = (blob: Buffer, about: Buffer) => {
    unsealed += 1;
    return keyring.unseal(blob, about);
  };
  const counting = { ...keyring, unseal };
  const keys = keyCache(() => new Date());
  const site = await kmipSite({ keyring: counting, keys });
  context.after(() => site.close());
  const app = await site.connect("O=bank, CN=app");
  const key = await app.create(active(12, { "Cryptographic Parameters": { blockCipherMode: mode.ctr } }));
  const encrypt = () =>
    app.call(operation.encrypt, part.id(key), part.data(Buffer.alloc(16)), part.iv(Buffer.alloc(16)));
  for (let at = 0; at < 5; at++) await encrypt();
  assert.deepEqual([unsealed, keys.size], [1, 1]);
  await app.revoke(key, 1);
  assert.equal(keys.size, 0);
  await assert.rejects(encrypt());
  const decrypt = () =>
    app.call(operation.decrypt, part.id(key), item.bytes(tag.Data, Buffer.alloc(16)), part.iv(Buffer.alloc(16)));
  await decrypt();
  await app.destroy(key);
  assert.equal(keys.size, 0);
  await assert.rejects(decrypt());
});

test("works take turns, in order, and one too many is refused", async () => {
  const line = turns({ atOnce: 2, waiting: 2, waitingOfCaller: 2 });
  const log: number[] = [];
  const gates = [0, 1, 2, 3].map(() => Promise.withResolvers<void>());
  const works = gates.map((gate, at) =>
    line("a", async () => {
      log.push(at);
      await gate.promise;
      return at;
    }),
  );
  await assert.rejects(
    line("b", () => Promise.resolve()),
    /Too many keys/,
  );
  assert.deepEqual(log, [0, 1]);
  gates[1]?.resolve();
  await works[1];
  assert.deepEqual(log, [0, 1, 2]);
  for (const gate of gates) gate.resolve();
  assert.deepEqual(await Promise.all(works), [0, 1, 2, 3]);
});

test("one caller does not have the whole line: there is room for another's work behind it", async () => {
  const line = turns({ atOnce: 1, waiting: 3, waitingOfCaller: 2 });
  const gate = Promise.withResolvers<void>();
  const works = ["a", "a", "a"].map((caller) => line(caller, () => gate.promise));
  await assert.rejects(
    line("a", () => gate.promise),
    /Too many keys/,
  );
  works.push(line("b", () => gate.promise));
  await assert.rejects(
    line("c", () => gate.promise),
    /Too many keys/,
  );
  gate.resolve();
  await Promise.all(works);
});
