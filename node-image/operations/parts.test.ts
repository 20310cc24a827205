import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { tag } from "../kmip/tags.ts";
import { cryptographicAlgorithm as algorithm, blockCipherMode as mode, usage } from "../objects/enumerations.ts";
import type { Json } from "../objects/types.ts";
import { active, bytesOf, cryptographicOperation as operation, part } from "../testing/cryptography-requests.ts";
import { fails } from "../testing/fails.ts";
import { item } from "../testing/items.ts";
import type { KmipClient } from "../testing/kmip-client.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";
import type { Item } from "../ttlv/types.ts";

/** Operations that are done in parts (KMIP 1.4, 2.1.15 to 2.1.17). */
const epoch = Date.UTC(2026, 0, 1) / 1000;
let clock = epoch;
let site: KmipSite;
let app: KmipClient;
let other: KmipClient;
before(async () => {
  site = await kmipSite({ now: () => new Date(clock * 1000) });
  app = await site.connect("O=bank, CN=app", { version: 14 });
  other = await site.connect("O=bank, CN=other", { version: 14 });
});
after(() => site.close());

const reason = { notFound: 1, field: 7, denied: 12 } as const;
const all = usage.encrypt | usage.decrypt | usage.macGenerate | usage.macVerify;
const text = Buffer.from("sixteen bytes of data and some more");

const aes = (mask: number = all, more: Readonly<Record<string, Json>> = {}) => app.create(active(mask, more));

const flags = (init: boolean, final: boolean) => [
  item.boolean(tag.InitIndicator, init),
  item.boolean(tag.FinalIndicator, final),
];

test("parts give what the whole gives; each is its caller's, its operation's and its key's, for a minute", async () => {
  const key = await aes(all, { "Cryptographic Parameters": { cryptographicAlgorithm: algorithm.hmacSha256 } });
  const second = await aes(all, { "Cryptographic Parameters": { cryptographicAlgorithm: algorithm.hmacSha256 } });
  const whole = bytesOf(await app.call(operation.mac, part.id(key), part.data(text)), tag.MACData);
  const begin = async () =>
    bytesOf(
      await app.call(operation.mac, part.id(key), part.data(text.subarray(0, 7)), ...flags(true, false)),
      tag.CorrelationValue,
    );
  const rest = (value: Buffer, id = key, each: number = operation.mac, client = app) =>
    client.call(
      each,
      part.id(id),
      part.data(text.subarray(7)),
      item.bytes(tag.CorrelationValue, value),
      item.boolean(tag.FinalIndicator, true),
    );
  assert.deepEqual(bytesOf(await rest(await begin()), tag.MACData), whole);
  const value = await begin();
  await fails(rest(value, second), reason.notFound, /Correlation Value/);
  await fails(rest(value, key, operation.macVerify), reason.notFound);
  await fails(rest(value, key, operation.mac, other), reason.notFound);
  assert.deepEqual(bytesOf(await rest(value), tag.MACData), whole, "strangers' attempts did not end it");
  await fails(rest(value), reason.notFound);
  const late = await begin();
  clock = epoch + 61;
  await fails(rest(late), reason.notFound);
  clock = epoch;
});

test("what a later part brings to be authenticated is refused, not left out; the operation goes on without it", async () => {
  const key = await aes();
  const parameters = part.parameters({ blockCipherMode: mode.gcm, tagLength: 16 });
  const begin = async (number: number, ...more: Item[]) => {
    const first = [part.id(key), parameters, part.data(text), part.iv(Buffer.alloc(12, 1)), ...flags(true, false)];
    const correlation = bytesOf(await app.call(number, ...first, ...more), tag.CorrelationValue);
    const last = [item.bytes(tag.CorrelationValue, correlation), item.boolean(tag.FinalIndicator, true)];
    return (...late: Item[]) => app.call(number, part.id(key), part.data(text), ...last, ...late);
  };
  const late = item.bytes(tag.AuthenticatedEncryptionAdditionalData, Buffer.from("header"));
  const encrypting = await begin(operation.encrypt);
  await fails(encrypting(late), reason.field, /first part/);
  const code = bytesOf(await encrypting(), tag.AuthenticatedEncryptionTag);
  const given = item.bytes(tag.AuthenticatedEncryptionTag, code);
  const decrypting = await begin(operation.decrypt, given);
  await fails(decrypting(late), reason.field, /first part/);
  await fails(decrypting(given), reason.field, /first part/);
});

test("a caller has 64 operations in parts at a time", async () => {
  const flooding = await site.connect("O=bank, CN=flood", { version: 14 });
  const start = () =>
    flooding.call(
      operation.hash,
      part.parameters({ hashingAlgorithm: 6 }),
      part.data(text),
      item.boolean(tag.InitIndicator, true),
    );
  for (let at = 0; at < 64; at++) await start();
  await fails(start(), reason.denied, /Too many/);
  await app.call(
    operation.hash,
    part.parameters({ hashingAlgorithm: 6 }),
    part.data(text),
    item.boolean(tag.InitIndicator, true),
  );
});
