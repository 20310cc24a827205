import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { tag } from "../kmip/tags.ts";
import { usage } from "../objects/enumerations.ts";
import type { Json } from "../objects/types.ts";
import {
  active,
  block,
  createPair,
  listOf,
  cryptographicOperation as operation,
  part,
  registerKey,
  textOf,
} from "../testing/cryptography-requests.ts";
import { attributeItem, item, payload, template } from "../testing/items.ts";
import { operation as basic, type KmipClient, KmipFailure } from "../testing/kmip-client.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";
import type { Item } from "../ttlv/types.ts";

/** Usage Limits count what is protected, whatever protects it, and nothing else (KMIP 1.4, 3.21). */
const reason = { invalidField: 7, illegal: 11, denied: 12 };
const mode = { cbc: 1, ecb: 2, keyWrap: 0x0d } as const;
const p256 = { "Cryptographic Algorithm": 6, "Cryptographic Length": 256 };
const unit = { byte: 1, object: 2 } as const;
const limits = (total: number, unit: number): Json => ({ usageLimitsTotal: total, usageLimitsUnit: unit });
const allocate = (id: string, units = 1n) =>
  [0x11, part.id(id), item.longInteger(tag.UsageLimitsCount, units)] as const;
const text = (value: string): Json => ({ type: 7, value });

let site: KmipSite;
let app: KmipClient;
before(async () => {
  site = await kmipSite();
  app = await site.connect("O=bank, CN=app");
});
after(() => site.close());

async function fails(promise: Promise<unknown>, expected: number, message = /./): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof KmipFailure, String(error));
    assert.equal(error.reason, expected, error.message);
    assert.match(error.message, message);
    return true;
  });
}

async function left(id: string): Promise<number> {
  const { "Usage Limits": value } = await app.attributes(id, "Usage Limits");
  return (value as { usageLimitsCount: number }).usageLimitsCount;
}

const limited = { "Usage Limits": limits(5, unit.object) };
const aes = (mask: number, more: Readonly<Record<string, Json>> = limited) => app.create(active(mask, more));
const privateKey = async (mask: number, own: Readonly<Record<string, Json>> = limited) =>
  createPair(app, p256, [mask, usage.verify], { own: [own, {}] });
const mask = usage.encrypt | usage.macGenerate | usage.wrapKey | usage.sign;
const cbc = part.parameters({ blockCipherMode: mode.cbc });
const ecb = part.parameters({ blockCipherMode: mode.ecb });
const data = (bytes: number) => part.data(Buffer.alloc(bytes, 1));
const begun = item.boolean(tag.InitIndicator, true);
const wrappedBy = (id: string, blockCipherMode: number) =>
  part.wrapping({
    wrappingMethod: 1,
    encryptionKey: { uniqueIdentifier: id, cryptographicParameters: { blockCipherMode } },
    attributeNames: [],
    encodingOption: 1,
  });
const named = (subject: string, name = subject) =>
  template({ "x-subject": text(subject), Name: { nameValue: name, nameType: 1 } });

type Use = readonly [what: string, key: () => Promise<string>, use: (key: string) => Promise<unknown>];

/** Each takes one object of the limits. */
const uses: readonly Use[] = [
  ["Encrypt", () => aes(mask), (key) => app.call(operation.encrypt, part.id(key), ecb, data(16))],
  [
    "a first part of Encrypt",
    () => aes(mask),
    (key) => app.call(operation.encrypt, part.id(key), ecb, data(16), begun),
  ],
  ["MAC", () => hmacKey(), (key) => app.call(operation.mac, part.id(key), sha256, data(3))],
  ["Sign", () => privateOf(usage.sign), (key) => app.call(operation.sign, part.id(key), sha256, data(3))],
  [
    "a first part of Sign",
    () => privateOf(usage.sign),
    (key) => app.call(operation.sign, part.id(key), sha256, data(3), begun),
  ],
  [
    "Get of a key that it wraps",
    () => aes(mask),
    async (key) => app.call(basic.get, part.id(await app.create()), wrappedBy(key, mode.keyWrap)),
  ],
  [
    "Certify",
    () => authority(),
    async (key) => app.call(operation.certify, part.id(await publicOf(key)), named("CN=root")),
  ],
  ["Get Usage Allocation", () => aes(mask), (key) => app.call(...allocate(key))],
  [
    "Get Usage Allocation for certificates",
    () => privateOf(usage.certificateSign),
    (key) => app.call(...allocate(key)),
  ],
  ["Get Usage Allocation for CRLs", () => privateOf(usage.crlSign), (key) => app.call(...allocate(key))],
];

for (const [what, make, use] of uses) {
  test(`${what} takes one object`, async () => {
    const key = await make();
    await use(key);
    assert.equal(await left(key), 4);
  });
}

/** Each is refused, and takes nothing. */
const refused: readonly Use[] = [
  ["Encrypt without an IV", () => aes(mask), (key) => app.call(operation.encrypt, part.id(key), cbc, data(16))],
  ["Encrypt of half a block", () => aes(mask), (key) => app.call(operation.encrypt, part.id(key), ecb, data(8))],
  ["Encrypt of nothing", () => aes(mask), (key) => app.call(operation.encrypt, part.id(key), ecb)],
  ["Sign by a secret key", () => aes(mask), (key) => app.call(operation.sign, part.id(key), sha256, data(3))],
  ["Sign of nothing", () => privateOf(usage.sign), (key) => app.call(operation.sign, part.id(key), sha256)],
  [
    "Sign of a digest of another length",
    () => privateOf(usage.sign),
    (key) => app.call(operation.sign, part.id(key), sha256, item.bytes(tag.DigestedData, Buffer.alloc(3)), data(3)),
  ],
  ["MAC by a private key", () => privateOf(usage.macGenerate), (key) => app.call(operation.mac, part.id(key), data(3))],
  ["MAC of nothing", () => hmacKey(), (key) => app.call(operation.mac, part.id(key), sha256)],
  [
    "Get of a key wrapped by CBC",
    () => aes(mask),
    async (key) => app.call(basic.get, part.id(await app.create()), wrappedBy(key, mode.cbc)),
  ],
  [
    "Get of a key too short to be wrapped",
    () => aes(mask),
    async (key) => {
      const short = await registerKey(app, 7, block(2, Buffer.alloc(3, 1)), active(0));
      return app.call(basic.get, part.id(short), wrappedBy(key, mode.keyWrap));
    },
  ],
  [
    "Certify by a Name that is taken",
    () => authority(),
    async (key) => {
      await app.create({ Name: { nameValue: "taken", nameType: 1 } });
      return app.call(operation.certify, part.id(await publicOf(key)), named("CN=root", "taken"));
    },
  ],
];
const sha256 = part.parameters({ hashingAlgorithm: 6 });

for (const [what, make, use] of refused) {
  test(`${what} is refused and takes nothing`, async () => {
    const key = await make();
    await assert.rejects(use(key), KmipFailure);
    assert.equal(await left(key), 5);
  });
}

async function hmacKey(): Promise<string> {
  const attributes = { ...active(mask, limited), "Cryptographic Algorithm": 9, "Cryptographic Length": 256 };
  return registerKey(app, 2, block(1, Buffer.alloc(32, 7), 9, 256), attributes);
}

async function privateOf(mask: number): Promise<string> {
  return (await privateKey(mask)).privateKey;
}

const publicKeys = new Map<string, string>();

async function authority(): Promise<string> {
  const pair = await privateKey(usage.certificateSign);
  publicKeys.set(pair.privateKey, pair.publicKey);
  return pair.privateKey;
}

const publicOf = async (key: string) => publicKeys.get(key) ?? "";

/** By bytes, what is counted is what goes in. */
const byBytes: readonly (readonly [string, number, (key: string) => Promise<unknown>])[] = [
  ["Encrypt of two blocks", 32, (key) => app.call(operation.encrypt, part.id(key), ecb, data(32))],
  [
    "a wrapped key of 32 bytes",
    32,
    async (key) => app.call(basic.get, part.id(await app.create()), wrappedBy(key, mode.keyWrap)),
  ],
];
for (const [what, bytes, use] of byBytes) {
  test(`${what} takes ${bytes} bytes, and is refused when there are fewer`, async () => {
    const enough = await aes(mask, { "Usage Limits": limits(100, unit.byte) });
    await use(enough);
    assert.equal(await left(enough), 100 - bytes);
    const few = await aes(mask, { "Usage Limits": limits(bytes - 1, unit.byte) });
    await fails(use(few), reason.denied, /Usage Limits do not allow/);
  });
}

test("a CA whose units are used up certifies no more", async () => {
  const pair = await privateKey(usage.certificateSign, { "Usage Limits": limits(1, unit.object) });
  await app.call(operation.certify, part.id(pair.publicKey), template({ "x-subject": text("CN=one") }));
  const second = app.call(operation.certify, part.id(pair.publicKey), template({ "x-subject": text("CN=two") }));
  await fails(second, reason.denied, /Usage Limits do not allow/);
});

test("Usage Limits are added to keys only, and not to what is destroyed (Table 102)", async () => {
  const add = (id: string) => app.call(basic.addAttribute, part.id(id), attributeItem("Usage Limits", limits(5, 2)));
  const key = await app.create();
  await add(key);
  const secret = await registerKey(app, 7, block(2, Buffer.alloc(16, 1)), {});
  await fails(add(secret), reason.denied, /does not apply to this object type/);
  const gone = await app.create();
  await app.destroy(gone);
  await fails(add(gone), reason.denied, /present state/);
  await app.destroy(key);
  const modify = app.call(basic.modifyAttribute, part.id(key), attributeItem("Usage Limits", limits(9, 2)));
  await fails(modify, reason.denied, /present state/);
});

test("a limited key that the same staged batch makes is told to be used after it", async () => {
  const staged: Item[] = [item.integer(tag.MaximumResponseSize, 100_000)];
  const create = payload(
    item.enumeration(tag.ObjectType, 2),
    listOf(
      tag.TemplateAttribute,
      { ...active(mask, limited), "Cryptographic Algorithm": 3, "Cryptographic Length": 256 },
      14,
    ),
  );
  const [made, used] = await app.batch(
    [
      { operation: basic.create, payload: create },
      { operation: operation.encrypt, payload: payload(ecb, data(16)) },
    ],
    staged,
  );
  assert.equal(made?.success, true);
  assert.deepEqual([used?.success, used?.reason], [false, reason.denied]);
  assert.match(used?.message ?? "", /not stored yet: use it after this batch/);
  const key = textOf(made?.payload as Item, tag.UniqueIdentifier);
  await app.call(operation.encrypt, part.id(key), ecb, data(16));
  assert.equal(await left(key), 4);
});
