import assert from "node:assert/strict";
import { createSecretKey } from "node:crypto";
import { test } from "node:test";
import { gather } from "../cryptography/gather.ts";
import { tag } from "../kmip/tags.ts";
import { blockCipherMode as mode, usage } from "../objects/enumerations.ts";
import type { Json } from "../objects/types.ts";
import {
  active,
  createPair,
  listOf,
  cryptographicOperation as operation,
  part,
  textOf,
} from "../testing/cryptography-requests.ts";
import { item } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { type KmipClient, KmipFailure } from "../testing/kmip-client.ts";
import { kmipSite } from "../testing/kmip-site.ts";
import type { Item } from "../ttlv/types.ts";
import { keyCache, keyCacheLimits } from "./key-cache.ts";
import { streamLimits, streamTable } from "./streams.ts";
import { sweeping } from "./sweeping.ts";

type Timers = { enable(options: { apis: ["setTimeout"] }): void; tick(ms: number): void };

/** Timers and a clock that are the test's, and go together. */
function aClock(timers: Timers) {
  timers.enable({ apis: ["setTimeout"] });
  let ms = Date.UTC(2026, 0, 1);
  const pass = (by: number) => {
    ms += by;
    timers.tick(by);
  };
  const setBack = (by: number) => {
    ms -= by;
  };
  return { now: () => new Date(ms), pass, setBack };
}

test("a timer runs as long as anything is kept, and rests when nothing is", (t) => {
  const { now, pass, setBack } = aClock(t.mock.timers);
  const kept: number[] = [];
  let sweeps = 0;
  const endsAt = sweeping(
    () => now().getTime(),
    60_000,
    () => {
      sweeps += 1;
      while (kept.length > 0 && (kept[0] as number) <= now().getTime()) kept.shift();
      return kept[0];
    },
  );
  const keep = () => {
    const end = now().getTime() + 60_000;
    kept.push(end);
    endsAt(end);
  };
  keep();
  pass(30_000);
  keep();
  pass(29_999);
  assert.deepEqual([sweeps, kept.length], [0, 2]);
  pass(1);
  assert.deepEqual([sweeps, kept.length], [1, 1]);
  pass(30_000);
  assert.deepEqual([sweeps, kept.length], [2, 0]);
  pass(3_600_000);
  assert.equal(sweeps, 2, "nothing is kept, nothing is looked for");
  keep();
  setBack(86_400_000);
  pass(60_000);
  assert.deepEqual(
    [sweeps, kept.length],
    [3, 1],
    "a clock that was set back is looked at again, and not at once for ever",
  );
  pass(60_000);
  assert.equal(sweeps, 4);
});

const owner = { caller: "a", operation: "Decrypt", object: "k" };

test("the data of an operation in parts that nobody goes on with is wiped when its time is over, though nobody asks for anything", (t) => {
  const { now, pass } = aClock(t.mock.timers);
  const table = streamTable(now);
  const [first, second] = [gather(), gather()];
  for (const [at, gathered] of [first, second].entries()) {
    gathered.add(Buffer.from("plaintext"));
    table.keep({ gathered }, owner);
    if (at === 0) pass(10_000);
  }
  pass(streamLimits.idleMs - 10_001);
  assert.deepEqual([first.bytes(), second.bytes()], [9, 9]);
  pass(1);
  assert.deepEqual([first.bytes(), second.bytes()], [0, 9]);
  pass(10_000);
  assert.equal(second.bytes(), 0);
});

test("keys and materials that were unsealed are wiped when their time is over, though nobody asks for anything", async (t) => {
  const { now, pass } = aClock(t.mock.timers);
  const keys = keyCache(now);
  const made: Buffer[] = [];
  const slow = Buffer.allocUnsafeSlow;
  t.mock.method(Buffer, "allocUnsafeSlow", (size: number) => {
    const buffer = slow(size);
    made.push(buffer);
    return buffer;
  });
  const object = (id: string) =>
    ({ id, owner: "o", objectType: 2, facts: 0, attributes: new Map(), sealed: Buffer.from(id) }) as const;
  const keyring = testKeyring();
  const open = () => ({ format: 1, subtype: 0, algorithm: 3, lengthBits: 256, bytes: Buffer.alloc(32, 7) });
  keys.materialOf(object("a"), keyring, open);
  await keys.keyOf(object("a"), keyring, async () => ({ key: createSecretKey(Buffer.alloc(32)), mayBeKept: true }));
  pass(keyCacheLimits.ageMs - 1);
  assert.deepEqual([keys.size, made.map((each) => each[0])], [2, [7]]);
  pass(1);
  assert.deepEqual([keys.size, made.map((each) => each[0])], [0, [0]]);
});

test("what is kept between requests keeps no process alive", async () => {
  const timers = () => process.getActiveResourcesInfo().filter((each) => each === "Timeout").length;
  const before = timers();
  streamTable(() => new Date()).keep({}, owner);
  const open = () => ({ format: 1, subtype: 0, algorithm: 3, lengthBits: 256, bytes: Buffer.alloc(32, 7) });
  const object = { id: "a", owner: "o", objectType: 2, facts: 0, attributes: new Map(), sealed: Buffer.from("a") };
  keyCache(() => new Date()).materialOf(object, testKeyring(), open);
  assert.equal(timers(), before);
});

/** Of so many bytes nothing else is: copies that the server made of data. */
const unusual = 4_104;
const refusedParts = [
  ["Encrypt by key wrap", encrypting],
  ["Sign by Ed25519", signing],
] as const;
for (const [name, beginning] of refusedParts) {
  test(`the data of ${name} in parts that Usage Limits refuse is wiped at once`, async (t) => {
    const site = await kmipSite();
    t.after(() => site.close());
    const app = await site.connect("O=bank, CN=app", { version: 21 });
    const copies: Buffer[] = [];
    const alloc = Buffer.alloc;
    t.mock.method(Buffer, "alloc", (size: number, ...rest: [number?]) => {
      const buffer = alloc(size, ...rest);
      if (size === unusual) copies.push(buffer);
      return buffer;
    });
    const limits = { "Usage Limits": { usageLimitsTotal: 1, usageLimitsCount: 1, usageLimitsUnit: 2 } };
    const data = part.data(Buffer.from("5a".repeat(unusual), "hex"));
    const asked = [data, item.boolean(tag.InitIndicator, true)];
    const begin = await beginning(app, limits);
    await begin(asked);
    await assert.rejects(begin(asked), KmipFailure);
    const held = copies.filter((copy) => copy.includes(0x5a)).length;
    assert.deepEqual([copies.length, held], [2, 1], "of the two that were copied the first waits for its next part");
  });
}

type Begin = (asked: readonly Item[]) => Promise<Item>;
type Attributes = Readonly<Record<string, Json>>;

async function encrypting(app: KmipClient, limits: Attributes): Promise<Begin> {
  const attributes = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, ...active(usage.encrypt, limits) };
  const made = await app.call(
    operation.create,
    item.enumeration(tag.ObjectType, 2),
    listOf(tag.Attributes, attributes, 21),
  );
  const key = part.id(textOf(made, tag.UniqueIdentifier));
  return (asked) => app.call(operation.encrypt, key, part.parameters({ blockCipherMode: mode.nistKeyWrap }), ...asked);
}

async function signing(app: KmipClient, limits: Attributes): Promise<Begin> {
  const kind = { "Cryptographic Algorithm": 0x37 };
  const { privateKey } = await createPair(app, kind, [usage.sign, usage.verify], { own: [limits, {}], version: 21 });
  return (asked) => app.call(operation.sign, part.id(privateKey), ...asked);
}
