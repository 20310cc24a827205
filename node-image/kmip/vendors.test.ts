import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Json } from "../objects/types.ts";
import { attributeItem, childrenOf, findItem, item, payload, template } from "../testing/items.ts";
import { type KmipClient, operation } from "../testing/kmip-client.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";
import type { Item } from "../ttlv/types.ts";
import { tag } from "./tags.ts";

/**
 * What the products send that a key server is bought for, as far as their sources and support threads tell, each at its
 * own version. A product that stops working is a fleet of databases that does not start.
 */
let site: KmipSite;
before(async () => {
  site = await kmipSite();
});
after(() => site.close());

const connect = (name: string, version: number) => site.connect(`O=bank, OU=apps, CN=${name}`, { version });
const id = (value: string) => item.text(tag.UniqueIdentifier, value);
const idOf = (response: Item, number: number = tag.UniqueIdentifier) => String(findItem(response, number)?.value);
const named = (value: string): Json => ({ nameValue: value, nameType: 1 });
const aes = (bits = 256) => ({
  "Cryptographic Algorithm": 3,
  "Cryptographic Length": bits,
  "Cryptographic Usage Mask": 12,
});
const bytesOf = (response: Item) => findItem(response, tag.KeyMaterial)?.value as Buffer;
const operations = { createKeyPair: 0x02, encrypt: 0x1f, decrypt: 0x20 } as const;

function secretData(bytes: Buffer, format: number, type = 2): Item {
  const value = item.structure(tag.KeyValue, item.bytes(tag.KeyMaterial, bytes));
  const block = item.structure(tag.KeyBlock, item.enumeration(tag.KeyFormatType, format), value);
  return item.structure(tag.SecretData, item.enumeration(tag.SecretDataType, type), block);
}

function symmetricKey(bytes: Buffer): Item {
  const block = item.structure(
    tag.KeyBlock,
    item.enumeration(tag.KeyFormatType, 1),
    item.structure(tag.KeyValue, item.bytes(tag.KeyMaterial, bytes)),
    item.enumeration(tag.CryptographicAlgorithm, 3),
    item.integer(tag.CryptographicLength, bytes.length * 8),
  );
  return item.structure(tag.SymmetricKey, block);
}

/** Encrypts and decrypts with the parameters; what came back. */
async function roundTrip(client: KmipClient, keys: readonly [string, string], parameters: Item): Promise<Buffer> {
  const plain = Buffer.from("a data encryption key of 32 byte");
  const sealed = await client.call(operations.encrypt, id(keys[0]), parameters, item.bytes(tag.Data, plain));
  const part = (number: number) => {
    const found = findItem(sealed, number)?.value as Buffer | undefined;
    return found === undefined ? undefined : item.bytes(number, Buffer.from(found));
  };
  assert.notDeepEqual(part(tag.Data)?.value, plain);
  const rest = [part(tag.Data), part(tag.IVCounterNonce), part(tag.AuthenticatedEncryptionTag)];
  const opened = await client.call(operations.decrypt, id(keys[1]), parameters, ...rest);
  assert.deepEqual(findItem(opened, tag.Data)?.value, plain);
  return plain;
}

const parameters = (...children: Item[]) => item.structure(tag.CryptographicParameters, ...children);

test("MongoDB (client-side encryption, 1.0): a master key of 96 bytes is registered as opaque Secret Data without usage, activated and read", async () => {
  const mongo = await connect("mongocrypt", 10);
  const key = Buffer.alloc(96, 0x4d);
  const mask = template({ "Cryptographic Usage Mask": 0 });
  const made = await mongo.call(operation.register, item.enumeration(tag.ObjectType, 7), mask, secretData(key, 2));
  await mongo.activate(idOf(made));
  assert.deepEqual(bytesOf(await mongo.call(operation.get, id(idOf(made)))), key);
});

test("MongoDB (delegated, 1.2): a key of the server's encrypts and decrypts in CBC with padding, and never leaves it", async () => {
  const mongo = await connect("mongocrypt", 12);
  const key = await mongo.create();
  await mongo.activate(key);
  const cbc = parameters(
    item.enumeration(tag.BlockCipherMode, 1),
    item.enumeration(tag.PaddingMethod, 3),
    item.boolean(tag.RandomIV, true),
  );
  await roundTrip(mongo, [key, key], cbc);
});

test("MongoDB is told of an error with its operation and its reason", async () => {
  const mongo = await connect("mongocrypt", 10);
  const [failed] = await mongo.batch([
    { operation: operation.get, payload: item.structure(tag.RequestPayload, id("none")) },
  ]);
  assert.deepEqual([failed?.success, failed?.operation, failed?.reason], [false, operation.get, 1]);
});

test("Percona Server for MongoDB (1.0): the key is registered, activated, and its state polled; nothing newer than 1.0 is told", async () => {
  const percona = await connect("psmdb", 10);
  const key = Buffer.alloc(32, 0x50);
  const attributes = template({ ...aes(), Name: named("psmdb-master") });
  const made = idOf(
    await percona.call(operation.register, item.enumeration(tag.ObjectType, 2), attributes, symmetricKey(key)),
  );
  await percona.activate(made);
  assert.deepEqual(await percona.attributes(made, "State"), { State: 2 });
  assert.deepEqual(await percona.get(made), key);
  const told = Object.keys(await percona.attributes(made));
  assert.deepEqual(
    told.filter((name) => /Fresh|Original|Random|Sensitive|Extractable/.test(name)),
    [],
  );
});

test("Percona tells a key that is gone from another error: Item Not Found", async () => {
  const percona = await connect("psmdb", 10);
  const absent = percona.call(
    operation.getAttributes,
    id("00000000-0000-4000-8000-000000000000"),
    item.text(tag.AttributeName, "State"),
  );
  await assert.rejects(absent, { reason: 1 });
});

test("Percona Server for MySQL (1.0–1.4): keys are found by name, and a rotated one is a new key under another name", async () => {
  const percona = await connect("mysql", 14);
  const first = await percona.create({ Name: named("INNODBKey-1") });
  const second = await percona.create({ Name: named("INNODBKey-2") });
  assert.deepEqual(await percona.locate({ Name: named("INNODBKey-1") }), [first]);
  assert.deepEqual(await percona.locate({ Name: named("INNODBKey-2") }), [second]);
});

test("Vault and OpenBao auto-unseal (1.4): the root key is sealed by AES-GCM with a nonce of the server's", async () => {
  const vault = await connect("vault", 14);
  const key = await vault.create();
  await vault.activate(key);
  const gcm = parameters(
    item.enumeration(tag.BlockCipherMode, 9),
    item.boolean(tag.RandomIV, true),
    item.integer(tag.TagLength, 16),
  );
  await roundTrip(vault, [key, key], gcm);
});

test("OpenBao auto-unseal by RSA-OAEP (1.4): what the public key seals, the private key opens", async () => {
  const bao = await connect("openbao", 14);
  const [privateKey, publicKey] = await rsaPair(bao, 2048, "bao");
  const oaep = parameters(
    item.enumeration(tag.PaddingMethod, 2),
    item.enumeration(tag.HashingAlgorithm, 6),
    item.enumeration(tag.CryptographicAlgorithm, 4),
  );
  await roundTrip(bao, [publicKey, privateKey], oaep);
});

test("VMware vCenter (1.1): versions, server, a nameless key, its attributes in one batch, its state, and the key again on a new connection", async () => {
  const vcenter = await connect("vcenter", 11);
  assert.equal(childrenOf(await vcenter.call(operation.discoverVersions), tag.ProtocolVersion).length, 7);
  await vcenter.call(operation.query, item.enumeration(tag.QueryFunction, 3));
  const key = await vcenter.create();
  assert.deepEqual(
    await vcenter.attributes(key, "x-Product_Version"),
    {},
    "an attribute that is not there is no error",
  );
  const own = { "x-Product_Version": "8.0.2 build-1", "x-Vendor": "VMware, Inc.", "x-Product": "VMware vSphere" };
  const added = Object.entries(own).map(([name, value]) => attributeItem(name, { type: 7, value }));
  const requests = added.map((each) => ({ operation: operation.addAttribute, payload: payload(id(key), each) }));
  assert.ok((await vcenter.batch(requests)).every(({ success }) => success));
  const again = await connect("vcenter", 11);
  assert.deepEqual(await again.attributes(key, "State"), { State: 1 });
  assert.deepEqual(await again.attributes(key, "x-Vendor"), { "x-Vendor": { type: 7, value: own["x-Vendor"] } });
  assert.deepEqual(await again.locate({ "x-Vendor": { type: 7, value: own["x-Vendor"] } }), [key]);
  assert.equal((await again.get(key)).length, 32);
});

const words = (name: string, word?: string) =>
  item.structure(
    tag.CredentialValue,
    item.text(tag.Username, name),
    ...(word === undefined ? [] : [item.text(tag.Password, word)]),
  );
const device = item.structure(
  tag.CredentialValue,
  item.text(tag.DeviceSerialNumber, "4711"),
  item.text(tag.DeviceIdentifier, "array-1"),
);
const credentials: readonly (readonly [string, number, Item])[] = [
  ["a user name and password", 1, words("kms-user", "a password")],
  ["an empty user name and password", 1, words("", "")],
  ["a user name alone", 1, words("kms-user")],
  ["the device's serial number", 2, device],
];

for (const version of [10, 11, 12, 13, 14, 20, 21]) {
  test(`${(version / 10).toFixed(1)}: a user name, a password or a device's number beside the certificate (VMware, NetApp) changes no answer`, async () => {
    const client = await connect("credentials", version);
    const plain = await client.batch([
      { operation: operation.query, payload: payload(item.enumeration(tag.QueryFunction, 3)) },
    ]);
    assert.deepEqual(
      plain.map(({ success }) => success),
      [true],
    );
    for (const [name, type, value] of credentials) {
      const credential = item.structure(tag.Credential, item.enumeration(tag.CredentialType, type), value);
      const request = { operation: operation.query, payload: payload(item.enumeration(tag.QueryFunction, 3)) };
      const answer = await client.batch([request], [item.structure(tag.Authentication, credential)]);
      assert.deepEqual(answer, plain, name);
    }
  });
}

test("VMware ESXi and vSAN (1.1): Query is answered in one message with the vendor, and Discover Versions with those asked for", async () => {
  const esxi = await connect("esxi", 11);
  const functions = [1, 2, 3].map((each) => item.enumeration(tag.QueryFunction, each));
  const answer = await esxi.call(operation.query, ...functions);
  assert.ok(childrenOf(answer, tag.Operation).length > 10);
  assert.equal(typeof findItem(answer, tag.VendorIdentification)?.value, "string");
  const asked = item.structure(
    tag.ProtocolVersion,
    item.integer(tag.ProtocolVersionMajor, 1),
    item.integer(tag.ProtocolVersionMinor, 1),
  );
  const versions = await esxi.call(operation.discoverVersions, asked);
  assert.equal(childrenOf(versions, tag.ProtocolVersion).length, 1);
});

test("NetApp ONTAP (1.2): the key of a disk is Secret Data with attributes of NetApp's own, and all keys of a cluster are found by them", async () => {
  const netapp = await connect("ontap", 12);
  const cluster = { type: 7, value: "7d1c6f6e-cluster" };
  const ids: string[] = [];
  for (const disk of ["1.0.1", "1.0.2"]) {
    const attributes = template({
      "Cryptographic Usage Mask": 12,
      Name: named(`ontap ${disk}`),
      "x-NETAPP-ClusterId": cluster,
      "Application Specific Information": { applicationNamespace: "NETAPP", applicationData: disk },
    });
    const secret = secretData(Buffer.from(`authentication key of ${disk}`), 1);
    ids.push(idOf(await netapp.call(operation.register, item.enumeration(tag.ObjectType, 7), attributes, secret)));
  }
  assert.deepEqual((await netapp.locate({ "x-NETAPP-ClusterId": cluster })).toSorted(), ids.toSorted());
  const byDisk = { "Application Specific Information": { applicationNamespace: "NETAPP", applicationData: "1.0.2" } };
  assert.deepEqual(await netapp.locate(byDisk), [ids[1]]);
});

test("Synology DSM (1.2): a connection for each request; a volume's key is registered under a digest, renamed after the volume, found, read, and destroyed", async () => {
  const dsm = async (...call: Parameters<KmipClient["call"]>) => {
    const client = await connect("synology", 12);
    try {
      return await client.call(...call);
    } finally {
      client.close();
    }
  };
  const volume = attributeItem("Name", named("2e043205-f1e7-48bb-a615-d331f2f84751"));
  const functions = [1, 2, 3, 4, 5, 6].map((each) => item.enumeration(tag.QueryFunction, each));
  await dsm(operation.query, ...functions);
  const find = async () =>
    childrenOf(await dsm(operation.locate, volume), tag.UniqueIdentifier).map(({ value }) => value);
  assert.deepEqual(await find(), []);
  const first = {
    "Cryptographic Usage Mask": 2,
    "Operation Policy Name": "default",
    Name: named("2847051d".repeat(16)),
  };
  const phrase = Buffer.alloc(72, 0xeb);
  const secret = secretData(phrase, 2, 1);
  const made = idOf(await dsm(operation.register, item.enumeration(tag.ObjectType, 7), template(first), secret));
  await dsm(operation.modifyAttribute, id(made), volume);
  assert.deepEqual(await find(), [made]);
  await dsm(operation.activate, id(made));
  await dsm(operation.getAttributeList, id(made));
  await dsm(operation.getAttributes, id(made));
  assert.deepEqual(bytesOf(await dsm(operation.get, id(made))), phrase);
  const reason = item.structure(tag.RevocationReason, item.enumeration(tag.RevocationReasonCode, 5));
  await dsm(operation.revoke, id(made), reason);
  await dsm(operation.destroy, id(made));
  assert.deepEqual(await find(), []);
});

test("Veeam Backup (1.4): a pair of RSA keys is made and activated, the public key is read as X.509 and seals, the private key opens on the server", async () => {
  const veeam = await connect("veeam", 14);
  const [privateKey, publicKey] = await rsaPair(veeam, 2048, "veeam");
  const read = await veeam.call(operation.get, id(publicKey), item.enumeration(tag.KeyFormatType, 5));
  assert.ok(bytesOf(read).length > 256);
  const oaep = parameters(item.enumeration(tag.PaddingMethod, 2), item.enumeration(tag.HashingAlgorithm, 6));
  await roundTrip(veeam, [publicKey, privateKey], oaep);
});

test("Veeam Backup (1.4): a key of a pair is told in no format asked for, with nothing beside its bytes: its reader knows no attributes there", async () => {
  const veeam = await connect("veeam", 14);
  for (const key of await rsaPair(veeam, 2048, "veeam signing", { masks: [1, 2], active: false })) {
    const value = findItem(await veeam.call(operation.get, id(key)), tag.KeyValue);
    assert.deepEqual(
      ((value as Item).value as readonly Item[]).map((each) => each.tag),
      [tag.KeyMaterial],
    );
    await veeam.destroy(key);
  }
});

test("Percona for PostgreSQL (1.4): a key of 128 bits is registered, found by type and name among others, and read", async () => {
  const percona = await connect("pg_tde", 14);
  const ids: string[] = [];
  for (const name of ["principal-1", "principal-10"]) {
    const attributes = template({ ...aes(128), Name: named(name) });
    const key = symmetricKey(Buffer.from(name.padEnd(16)));
    ids.push(idOf(await percona.call(operation.register, item.enumeration(tag.ObjectType, 2), attributes, key)));
  }
  assert.deepEqual(await percona.locate({ "Object Type": 2, Name: named("principal-1") }), [ids[0]]);
  assert.equal((await percona.get(String(ids[0]))).toString(), "principal-1".padEnd(16));
});

test("a certificate without extended key usage is let in: old vCenter, ESXi and Synology send one", async () => {
  const identity = await site.clients.issue("O=bank, OU=apps, CN=old-esxi", { usage: "none" });
  const old = await site.connect("", { identity, version: 11 });
  assert.equal((await old.create()).length, 36);
});

test("Register answers with the identifier alone, and Create with the type before it: clients count the fields [Vault 9147]", async () => {
  const vault = await connect("vault", 10);
  const registered = await vault.call(
    operation.register,
    item.enumeration(tag.ObjectType, 2),
    template({ ...aes(), Name: named("fields") }),
    symmetricKey(Buffer.alloc(32, 1)),
  );
  const tags = (answer: Item) => (answer.value as readonly Item[]).map((each) => each.tag);
  assert.deepEqual(tags(registered), [tag.UniqueIdentifier]);
  const created = await vault.call(operation.create, item.enumeration(tag.ObjectType, 2), template(aes()));
  assert.deepEqual(tags(created), [tag.ObjectType, tag.UniqueIdentifier]);
});

/** Makes and activates a pair; private and public identifier. */
async function rsaPair(
  client: KmipClient,
  bits: number,
  name: string,
  { masks: [privateMask, publicMask], active = true }: { masks: readonly [number, number]; active?: boolean } = {
    masks: [8, 4],
  },
): Promise<[string, string]> {
  const of = (number: number, attributes: Readonly<Record<string, Json>>) => ({ ...template(attributes), tag: number });
  const pair = await client.call(
    operations.createKeyPair,
    of(tag.CommonTemplateAttribute, { "Cryptographic Algorithm": 4, "Cryptographic Length": bits }),
    of(tag.PrivateKeyTemplateAttribute, { Name: named(`${name} private`), "Cryptographic Usage Mask": privateMask }),
    of(tag.PublicKeyTemplateAttribute, { Name: named(`${name} public`), "Cryptographic Usage Mask": publicMask }),
  );
  const ids = [idOf(pair, tag.PrivateKeyUniqueIdentifier), idOf(pair, tag.PublicKeyUniqueIdentifier)] as const;
  if (active) for (const each of ids) await client.activate(each);
  return [...ids];
}
