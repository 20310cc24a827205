import { attributes } from "../kmip/attributes.ts";
import { tag } from "../kmip/tags.ts";
import { usage } from "../objects/enumerations.ts";
import type { Json } from "../objects/types.ts";
import type { Item } from "../ttlv/types.ts";
import { active, block, part } from "./cryptography-requests.ts";
import { childrenOf, findItem, item, template } from "./items.ts";
import { operation, resultsOf } from "./kmip-client.ts";

type Attributes = Readonly<Record<string, Json>>;

/** Where 2.x has what stood in a Template-Attribute. */
const modernTags: Readonly<Record<number, number>> = {
  [tag.TemplateAttribute]: tag.Attributes,
  [tag.CommonTemplateAttribute]: tag.CommonAttributes,
  [tag.PrivateKeyTemplateAttribute]: tag.PrivateKeyAttributes,
  [tag.PublicKeyTemplateAttribute]: tag.PublicKeyAttributes,
};

/** Sends one request; its answer, or undefined where the version does not have the operation. */
export type Call = (
  number: number,
  children: readonly (Item | undefined)[],
  header?: readonly Item[],
) => Promise<Item | undefined>;

/** Asks for every operation that the version has, each so that it is done. */
export async function askEverything(version: number, call: Call): Promise<void> {
  const tools = toolsFor(version, call);
  const { key, exported } = await lifeAndAttributes(tools);
  await madeOfOthers(tools, key, exported);
  await pairsAndCertificates(tools);
  await cryptography(tools, key);
  await withoutObjects(tools);
  await pendingOperations(tools);
  const reason = item.structure(tag.RevocationReason, item.enumeration(tag.RevocationReasonCode, 1));
  await call(operation.revoke, [key, reason]);
  await call(operation.destroy, [key]);
}

type Tools = ReturnType<typeof toolsFor>;

/** Builders in the form of the version. */
function toolsFor(version: number, call: Call) {
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
  return { version, call, list, one, identifier, type, aes, create, data, pairOf };
}

/** Life and attributes. */
async function lifeAndAttributes({ version, call, list, one, identifier, type, aes, create }: Tools) {
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

  return { key, exported };
}

/** Registered, derived, split, joined, wrapped. */
async function madeOfOthers(
  { aes, version, call, list, identifier, type, create }: Tools,
  key: Item,
  exported: Item | undefined,
) {
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
}

/** Key pairs and certificates. */
async function pairsAndCertificates({ call, list, identifier, create, pairOf }: Tools) {
  const authority = await pairOf([usage.certificateSign | usage.crlSign, usage.verify]);
  const subject = list({ "x-subject": { type: 7, value: "O=bank,CN=root" } });
  const certificate = identifier(await call(0x06, [authority.publicKey, subject]));
  for (const number of [operation.get, operation.getAttributes, operation.getAttributeList, 0x17])
    await call(number, [certificate]);
  await call(0x07, [certificate]);
  await call(0x04, [await create(12)]);
  await call(0x1d, [item.text(tag.PrivateKeyUniqueIdentifier, String((await pairOf([1, 2])).privateKey.value))]);
}

/** Uses of keys. */
async function cryptography({ call, list, identifier, type, data, pairOf }: Tools, key: Item) {
  const iv = item.bytes(tag.IVCounterNonce, Buffer.alloc(16, 1));
  const cbc = part.parameters({ blockCipherMode: 1, paddingMethod: 3 });
  const gcm = part.parameters({ blockCipherMode: 9, tagLength: 16 });
  const signer = await pairOf([usage.sign, usage.verify]);
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
}

/** What concerns no object. */
async function withoutObjects({ version, call, list, type }: Tools) {
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
}

/** Operations whose results are fetched later. */
async function pendingOperations({ version, call, list }: Tools) {
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
}
