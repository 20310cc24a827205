import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { join } from "node:path";
import { test } from "node:test";
import { usage } from "../objects/enumerations.ts";
import type { Json } from "../objects/types.ts";
import { active, block, part } from "../testing/cryptography-requests.ts";
import { childrenOf, findItem, item, payload, template } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { newer } from "../testing/newer.ts";
import { choiceFor, oasisCases } from "../testing/oasis-cases.ts";
import { newSeries, playCase } from "../testing/oasis-play.ts";
import { seeded, shuffled } from "../testing/random.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { attributes } from "./attributes.ts";
import { kmipHandler } from "./handler.ts";
import { router, versions } from "./router.ts";
import { tag } from "./tags.ts";

const folder = join(import.meta.dirname, "../../../shared/kmip-oasis");
const seed = Number(process.env.KEYFLEET_SEED ?? randomInt(2 ** 31));
/** Cases of each version; a failing seed is repeated by KEYFLEET_SEED. */
const casesMax = 24;

/** The same message as one of another version. */
function asVersion(message: Item, version: number): Item {
  if (message.type !== itemType.structure) return message;
  if (message.tag === tag.ProtocolVersion) {
    const number = [tag.ProtocolVersionMajor, tag.ProtocolVersionMinor] as const;
    return item.structure(
      message.tag,
      item.integer(number[0], Math.floor(version / 10)),
      item.integer(number[1], version % 10),
    );
  }
  return { ...message, value: message.value.map((child) => asVersion(child, version)) };
}

for (const version of versions) {
  test(`KMIP ${(version / 10).toFixed(1)}: whatever an OASIS case asks, nothing newer is in an answer`, async (t) => {
    t.diagnostic(`KEYFLEET_SEED=${seed}`);
    const sets = version < 20 ? ["v1.0-1.2", "v1.4"] : ["v2.1"];
    const cases = oasisCases(sets.map((set) => join(folder, set))).filter(({ transport }) => transport === "ttlv");
    const found: string[] = [];
    for (const each of shuffled(cases, seeded(seed)).slice(0, casesMax)) {
      const handler = kmipHandler({
        store: memoryStore(),
        keyring: testKeyring(),
        log: () => undefined,
        cryptography: choiceFor(each),
      });
      const send = async (message: Item) => {
        const answer = decode(
          await handler(encode(asVersion(message, version)), { identity: "CN=a", subject: "CN=a" }),
        );
        found.push(...newer(answer, version).map((what) => `${each.name}: ${what}`));
        return answer;
      };
      await playCase(each, send, newSeries());
    }
    assert.deepEqual(found, []);
  });

  test(`KMIP ${(version / 10).toFixed(1)}: every operation that is served is asked for, and nothing newer is in an answer`, async () => {
    const { asked, refusals, found } = await everything(version);
    assert.deepEqual(found, []);
    assert.deepEqual(refusals, []);
    const served = [...router.values()].filter(({ since }) => since <= version).map(({ name }) => name);
    assert.deepEqual(
      served.filter((name) => !asked.has(name)),
      [],
    );
  });
}

type Attributes = Readonly<Record<string, Json>>;

/** Where 2.x has what stood in a Template-Attribute. */
const modernTags: Readonly<Record<number, number>> = {
  [tag.TemplateAttribute]: tag.Attributes,
  [tag.CommonTemplateAttribute]: tag.CommonAttributes,
  [tag.PrivateKeyTemplateAttribute]: tag.PrivateKeyAttributes,
  [tag.PublicKeyTemplateAttribute]: tag.PublicKeyAttributes,
};

/** Asks for every operation that the version has, each so that it is done. */
async function everything(version: number) {
  const handler = kmipHandler({
    store: memoryStore(),
    keyring: testKeyring(),
    log: () => undefined,
    firstAdministrators: () => ["CN=a"],
  });
  const asked = new Set<string>();
  const refusals: string[] = [];
  const found: string[] = [];
  const call = async (number: number, children: readonly (Item | undefined)[], header: readonly Item[] = []) => {
    const { since = 0, name = "" } = router.get(number) ?? {};
    if (since > version) return undefined;
    asked.add(name);
    const message = encode(requestMessage([{ operation: number, payload: payload(...children) }], { version, header }));
    const answer = decode(await handler(message, { identity: "CN=a", subject: "CN=a" }));
    found.push(...newer(answer, version).map((what) => `${name}: ${what}`));
    const [result] = resultsOf(answer);
    const status = findItem(answer, tag.ResultStatus)?.value;
    if (status === 1) refusals.push(`${name}: ${result?.message}`);
    return answer;
  };
  await inOrder(version, call);
  return { asked, refusals, found };
}

type Call = (
  number: number,
  children: readonly (Item | undefined)[],
  header?: readonly Item[],
) => Promise<Item | undefined>;

async function inOrder(version: number, call: Call): Promise<void> {
  const list = (given: Attributes, number: number = tag.TemplateAttribute): Item => {
    if (version < 20) return { ...template(given), tag: number } as Item;
    const instances = Object.entries(given).map(([name, value]) => ({ name, value }));
    return attributes.write(modernTags[number] ?? number, instances, version);
  };
  const one = (given: Attributes): Item =>
    version < 20
      ? (childrenOf(template(given), tag.Attribute)[0] as Item)
      : ({ ...list(given), tag: tag.NewAttribute } as Item);
  const identifier = (answer: Item | undefined, number: number = tag.UniqueIdentifier) =>
    item.text(tag.UniqueIdentifier, String(findItem(answer, number)?.value));
  const type = (value: number) => item.enumeration(tag.ObjectType, value);
  const aes = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256 };
  const create = async (mask: number, more: Attributes = {}) =>
    identifier(await call(operation.create, [type(2), list({ ...aes, ...active(mask, more) })]));
  const data = item.bytes(tag.Data, Buffer.alloc(32, 7));
  const gcm = part.parameters({ blockCipherMode: 9, tagLength: 16 });
  const cbc = part.parameters({ blockCipherMode: 1, paddingMethod: 3 });
  const iv = item.bytes(tag.IVCounterNonce, Buffer.alloc(16, 1));
  const reason = item.structure(tag.RevocationReason, item.enumeration(tag.RevocationReasonCode, 1));

  // Life and attributes.
  const key = await create(usage.encrypt | usage.decrypt, {
    Name: { nameValue: "all", nameType: 1 },
    "x-own": { type: 7, value: "mine" },
  });
  const limited = await create(usage.encrypt, { "Usage Limits": { usageLimitsTotal: 9, usageLimitsUnit: 1 } });
  const cached = identifier(await call(operation.create, [type(2), list({ ...aes, "Cryptographic Usage Mask": 12 })]));
  await call(operation.activate, [cached]);
  for (const number of [operation.get, operation.getAttributes, operation.getAttributeList, 0x09, 0x10, 0x2b])
    await call(number, [key]);
  await call(operation.locate, version < 20 ? [one({ "Object Type": 2 })] : [list({ "Object Type": 2 })]);
  await call(0x11, [limited, item.longInteger(tag.UsageLimitsCount, 1n)]);
  await call(operation.addAttribute, [key, one({ "Contact Information": "it" })]);
  await call(operation.modifyAttribute, [key, one({ "Contact Information": "sales" })]);
  await call(
    operation.deleteAttribute,
    version < 20
      ? [key, item.text(tag.AttributeName, "Contact Information")]
      : [key, item.enumeration(tag.AttributeReference, tag.ContactInformation)],
  );
  await call(0x31, [key, { ...list({ Comment: "set" }), tag: tag.NewAttribute } as Item]);
  await call(0x30, [
    key,
    item.enumeration(tag.AttributeReference, tag.Sensitive),
    item.enumeration(tag.AdjustmentType, 3),
  ]);
  await call(0x15, [cached]);
  await call(0x16, [cached]);
  const exported = await call(0x2b, [await create(4, { "Object Group": "exported" })]);

  // Registered, derived, split, joined, wrapped.
  const keyBlock = block(1, Buffer.alloc(32, 3), 3, 256);
  await call(operation.register, [type(2), list(active(12)), item.structure(tag.SymmetricKey, keyBlock)]);
  const secret = identifier(
    await call(operation.register, [
      type(7),
      list(active(usage.deriveKey)),
      item.structure(tag.SecretData, item.enumeration(tag.SecretDataType, 1), block(1, Buffer.alloc(20, 5))),
    ]),
  );
  await call(0x05, [
    type(2),
    secret,
    item.enumeration(tag.DerivationMethod, 2),
    item.structure(tag.DerivationParameters, part.parameters({ hashingAlgorithm: 6 })),
    list({ ...aes, "Cryptographic Usage Mask": 12 }),
  ]);
  const parts = await call(0x28, [
    type(5),
    key,
    item.integer(tag.SplitKeyParts, 3),
    item.integer(tag.SplitKeyThreshold, 2),
    item.enumeration(tag.SplitKeyMethod, 4),
  ]);
  const shares = childrenOf(resultsOf(parts ?? key)[0]?.payload, tag.UniqueIdentifier).slice(0, 2);
  await call(0x29, [type(2), ...shares, list({ ...aes, "Cryptographic Usage Mask": 12 })]);
  const wrapper = await create(usage.wrapKey);
  const encryptionKey = { uniqueIdentifier: String(wrapper.value), cryptographicParameters: { blockCipherMode: 13 } };
  if (version >= 11)
    await call(operation.get, [
      key,
      part.wrapping({ wrappingMethod: 1, encryptionKey, attributeNames: [], encodingOption: 1 }),
    ]);
  if (exported !== undefined) {
    const copied = resultsOf(exported)[0]?.payload;
    const inside = childrenOf(copied, tag.SymmetricKey);
    const id = item.text(tag.UniqueIdentifier, "00000000-0000-4000-8000-000000000001");
    const given = list({ ...aes, "Cryptographic Usage Mask": 4 });
    const own = version < 20 ? childrenOf(given, tag.Attribute) : [given];
    await call(0x2a, [id, type(2), ...own, ...inside]);
  }

  // Key pairs and certificates.
  const pairOf = async (masks: readonly [number, number]) => {
    const p256 = { "Cryptographic Algorithm": 6, "Cryptographic Length": 256 };
    const pair = await call(0x02, [
      list(p256, tag.CommonTemplateAttribute),
      list(active(masks[0]), tag.PrivateKeyTemplateAttribute),
      list(active(masks[1]), tag.PublicKeyTemplateAttribute),
    ]);
    return {
      privateKey: identifier(pair, tag.PrivateKeyUniqueIdentifier),
      publicKey: identifier(pair, tag.PublicKeyUniqueIdentifier),
    };
  };
  const signer = await pairOf([usage.sign, usage.verify]);
  const authority = await pairOf([usage.certificateSign | usage.crlSign, usage.verify]);
  const subject = list({ "x-subject": { type: 7, value: "O=bank,CN=root" } });
  const certificate = identifier(await call(0x06, [authority.publicKey, subject]));
  for (const number of [operation.get, operation.getAttributes, operation.getAttributeList, 0x17])
    await call(number, [certificate]);
  await call(0x07, [certificate]);
  await call(0x04, [await create(12)]);
  await call(0x1d, [item.text(tag.PrivateKeyUniqueIdentifier, String((await pairOf([1, 2])).privateKey.value))]);

  // Cryptography.
  const ecdsa = part.parameters({ digitalSignatureAlgorithm: 0xe });
  const encrypted = await call(0x1f, [key, cbc, data, iv]);
  await call(0x20, [key, cbc, findItem(encrypted, tag.Data), iv]);
  await call(0x1f, [key, gcm, data, item.bytes(tag.IVCounterNonce, Buffer.alloc(12, 1))]);
  const signed = await call(0x21, [signer.privateKey, ecdsa, data]);
  await call(0x22, [signer.publicKey, ecdsa, data, findItem(signed, tag.SignatureData)]);
  const hmac = { "Cryptographic Algorithm": 9, "Cryptographic Length": 256 };
  const macKey = identifier(
    await call(operation.create, [type(2), list({ ...hmac, ...active(usage.macGenerate | usage.macVerify) })]),
  );
  const mac = await call(0x23, [macKey, data]);
  await call(0x24, [macKey, data, findItem(mac, tag.MACData)]);
  await call(0x25, [item.integer(tag.DataLength, 16)]);
  await call(0x26, [data]);
  await call(0x27, [part.parameters({ hashingAlgorithm: 6 }), data]);

  // What concerns no object.
  await call(
    operation.query,
    Array.from({ length: 14 }, (_, at) => item.enumeration(tag.QueryFunction, at + 1)).filter(
      (_, at) => at < 3 || version >= 20,
    ),
  );
  await call(operation.discoverVersions, []);
  await call(0x2c, [item.text(tag.LogMessage, "hello")]);
  const ticket = findItem(await call(0x2d, []), tag.Ticket);
  await call(0x2e, [ticket]);
  const operations = item.structure(tag.Operations, item.enumeration(tag.Operation, operation.get));
  await call(0x2f, [item.structure(tag.Rights, item.structure(tag.Right, operations))]);
  await call(0x32, [item.enumeration(tag.EndpointRole, 2)]);
  await call(0x33, [item.enumeration(tag.PKCS11Function, 1)]);
  await call(0x34, [item.enumeration(tag.InteropFunction, 1), item.text(tag.InteropIdentifier, "all")]);
  await call(0x3b, []);
  const contact = list({ "Contact Information": "it" });
  const defaults = item.structure(tag.ObjectDefaults, type(2), contact);
  await call(0x36, [item.structure(tag.DefaultsInformation, defaults)]);
  await call(0x37, [
    item.structure(tag.Constraints, item.structure(tag.Constraint, list({ "Cryptographic Length": 4096 }))),
  ]);
  await call(0x38, []);
  await call(operation.query, version < 20 ? [] : [item.enumeration(tag.QueryFunction, 13)]);

  // Pending operations.
  const waits =
    version < 20 ? item.boolean(tag.AsynchronousIndicator, true) : item.enumeration(tag.AsynchronousIndicator, 1);
  const pend = async () => {
    const answer = await call(
      0x02,
      [
        list({ "Cryptographic Algorithm": 6, "Cryptographic Length": 256 }, tag.CommonTemplateAttribute),
        list(active(1), tag.PrivateKeyTemplateAttribute),
        list(active(2), tag.PublicKeyTemplateAttribute),
      ],
      [waits],
    );
    return findItem(answer, tag.AsynchronousCorrelationValue);
  };
  const pending = await pend();
  await call(0x39, []);
  await call(0x3a, [pending]);
  await call(0x1a, [pending]);
  await call(0x19, [await pend()]);

  await call(operation.revoke, [key, reason]);
  await call(operation.destroy, [key]);
}
