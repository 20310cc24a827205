import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, before, test } from "node:test";
import { keyWrappingData } from "../kmip/key-wrapping.ts";
import { tag } from "../kmip/tags.ts";
import { keyFormatType as format, blockCipherMode as mode, paddingMethod, usage } from "../objects/enumerations.ts";
import {
  active,
  block,
  bytesOf,
  cryptographicOperation as operation,
  part,
  registerKey,
} from "../testing/cryptography-requests.ts";
import { fails } from "../testing/fails.ts";
import { attributeItem, findItem, item } from "../testing/items.ts";
import { operation as basic, type KmipClient } from "../testing/kmip-client.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";
import type { Item } from "../ttlv/types.ts";

let site: KmipSite;
let app: KmipClient;
let friend: KmipClient;
before(async () => {
  site = await kmipSite();
  app = await site.connect("O=bank, CN=app");
  friend = await site.connect("O=bank, CN=friend");
});
after(() => site.close());

const reason = { feature: 8, notFound: 1, denied: 12, encoding: 18 };

const grantOf = (rights: string) =>
  attributeItem("x-keyfleet-grant-user:CN=friend,O=bank,issuer(CN=clients,O=bank)", { type: 7, value: rights });
const grant = (id: string, rights: string) => app.call(basic.addAttribute, part.id(id), grantOf(rights));
const wrappers = usage.wrapKey | usage.unwrapKey;
const encrypt = (client: KmipClient, id: string) =>
  client.call(
    operation.encrypt,
    part.id(id),
    part.parameters({ blockCipherMode: mode.ctr }),
    part.data(Buffer.alloc(16)),
    part.iv(Buffer.alloc(16)),
  );

/** A key that is kept as it came: wrapped by another key of the owner's. */
async function keptWrapped() {
  const wrapper = await app.create(active(wrappers));
  const clear = await app.create(active(usage.encrypt));
  const encryptionKey = { uniqueIdentifier: wrapper, cryptographicParameters: { blockCipherMode: mode.nistKeyWrap } };
  const specification = part.wrapping({ wrappingMethod: 1, encryptionKey, attributeNames: [], encodingOption: 1 });
  const answer = await app.call(operation.get, part.id(clear), specification);
  return { wrapper, key: await registerKey(app, 2, findItem(answer, tag.KeyBlock) as Item, active(usage.encrypt)) };
}

test("a key that is kept wrapped is not used once its wrapping key is destroyed, though it was used just before", async () => {
  const { wrapper, key } = await keptWrapped();
  await encrypt(app, key);
  await app.revoke(wrapper);
  await encrypt(app, key);
  await app.destroy(wrapper);
  await assert.rejects(encrypt(app, key), /destroyed/);
});

test("who may not unwrap with the wrapping key uses no key that it wraps, whoever used it just before", async () => {
  const { wrapper, key } = await keptWrapped();
  await grant(key, "Encrypt");
  await fails(encrypt(friend, key), reason.notFound);
  await encrypt(app, key);
  await fails(encrypt(friend, key), reason.notFound);
  await grant(wrapper, "UnwrapKey");
  await encrypt(friend, key);
});

test("an RSA key neither wraps nor unwraps without padding: it would sign for who may only unwrap", async () => {
  const { privateKey, publicKey } = await rsaWrappers();
  // What he would like to have signed, as if it were a wrapped key.
  const came = wrappedBlock(Buffer.alloc(256, 3), wrappedBy(privateKey, paddingMethod.none));
  const key = await registerKey(app, 7, came, active(0));
  const notWrapped = item.enumeration(tag.KeyWrapType, 1);
  await fails(app.call(operation.get, part.id(key), notWrapped), reason.feature, /not without padding/);
  const other = part.id(await app.create(active(usage.encrypt)));
  const specification = part.wrapping({ ...wrappedBy(publicKey, paddingMethod.none), attributeNames: [] });
  await fails(app.call(operation.get, other, specification), reason.feature, /not without padding/);
});

for (const padding of [undefined, paddingMethod.oaep, paddingMethod.pkcs1]) {
  test(`an RSA key wraps and unwraps by Padding Method ${padding ?? "unsaid"}`, async () => {
    const { privateKey, publicKey } = await rsaWrappers();
    const key = await app.create(active(usage.encrypt));
    const specification = part.wrapping({ ...wrappedBy(publicKey, padding), attributeNames: [] });
    const answer = await app.call(operation.get, part.id(key), specification);
    const came = wrappedBlock(bytesOf(answer, tag.KeyValue), wrappedBy(privateKey, padding));
    const again = await registerKey(app, 2, came, active(usage.encrypt));
    const opened = await app.call(operation.get, part.id(again), item.enumeration(tag.KeyWrapType, 1));
    assert.deepEqual(bytesOf(opened, tag.KeyMaterial), await app.get(key));
  });
}

test("who may Get a key and not its attributes has none of them wrapped with it", async () => {
  const [key, wrapper] = [await app.create({ "Contact Information": "Ann" }), await app.create(active(wrappers))];
  await grant(key, "Get");
  await grant(wrapper, "WrapKey");
  const encryptionKey = { uniqueIdentifier: wrapper, cryptographicParameters: { blockCipherMode: mode.nistKeyWrap } };
  const asked = (attributeNames: readonly string[]) =>
    friend.call(
      operation.get,
      part.id(key),
      part.wrapping({ wrappingMethod: 1, encryptionKey, attributeNames, encodingOption: 2 }),
    );
  await asked([]);
  await fails(asked(["Contact Information"]), reason.denied, /GetAttributes/);
  await app.call(basic.modifyAttribute, part.id(key), grantOf("Get GetAttributes"));
  await asked(["Contact Information"]);
});

test("a transparent private key, which is a structure, is not wrapped without encoding", async () => {
  const { privateKey } = await rsaWrappers();
  const wrapper = await app.create(active(wrappers));
  const encryptionKey = {
    uniqueIdentifier: wrapper,
    cryptographicParameters: { blockCipherMode: mode.aesKeyWrapPadding },
  };
  const asked = (encodingOption: number) =>
    app.call(
      operation.get,
      part.id(privateKey),
      item.enumeration(tag.KeyFormatType, format.transparentRsaPrivateKey),
      part.wrapping({ wrappingMethod: 1, encryptionKey, attributeNames: [], encodingOption }),
    );
  await asked(2);
  await fails(asked(1), reason.encoding, /TTLV Encoding only/);
});

async function rsaWrappers() {
  const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pkcs8 = pair.privateKey.export({ format: "der", type: "pkcs8" });
  const spki = pair.publicKey.export({ format: "der", type: "spki" });
  return {
    privateKey: await registerKey(app, 4, block(format.pkcs8, pkcs8), active(usage.unwrapKey)),
    publicKey: await registerKey(app, 3, block(format.x509, spki), active(usage.wrapKey)),
  };
}

function wrappedBy(uniqueIdentifier: string, padding: number | undefined) {
  const cryptographicParameters = padding === undefined ? {} : { paddingMethod: padding };
  return { wrappingMethod: 1, encryptionKey: { uniqueIdentifier, cryptographicParameters }, encodingOption: 1 };
}

function wrappedBlock(bytes: Buffer, by: ReturnType<typeof wrappedBy>): Item {
  return item.structure(
    tag.KeyBlock,
    item.enumeration(tag.KeyFormatType, format.raw),
    item.bytes(tag.KeyValue, bytes),
    keyWrappingData.write(tag.KeyWrappingData, by, 14),
  );
}
