import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, before, test } from "node:test";
import { tag } from "../kmip/tags.ts";
import { keyFormatType as format, paddingMethod, usage } from "../objects/enumerations.ts";
import {
  active,
  block,
  bytesOf,
  cryptographicOperation as operation,
  part,
  registerKey,
} from "../testing/cryptography-requests.ts";
import { fails } from "../testing/fails.ts";
import { item } from "../testing/items.ts";
import type { KmipClient } from "../testing/kmip-client.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";
import type { Item } from "../ttlv/types.ts";

let site: KmipSite;
let app: KmipClient;
before(async () => {
  site = await kmipSite();
  app = await site.connect("O=bank, CN=app", { version: 14 });
});
after(() => site.close());

const reason = { field: 7, denied: 12 };
const text = Buffer.from("sixteen bytes of data and some more");

/** RSA without padding, which whoever has a private key may do with what he likes. */
const rawRsa = part.parameters({ paddingMethod: paddingMethod.none });

interface Pair {
  readonly privateKey: string;
  readonly publicKey: string;
}

async function rsaKeys(mask: number, modulusLength = 2048): Promise<Pair> {
  const pair = generateKeyPairSync("rsa", { modulusLength });
  const pkcs8 = pair.privateKey.export({ format: "der", type: "pkcs8" });
  const spki = pair.publicKey.export({ format: "der", type: "spki" });
  return {
    privateKey: await registerKey(app, 4, block(format.pkcs8, pkcs8), active(mask)),
    publicKey: await registerKey(app, 3, block(format.x509, spki), active(usage.encrypt)),
  };
}

test("who may decrypt with an RSA key that signs does not sign by decrypting without padding", async () => {
  const data = part.data(Buffer.alloc(256, 3));
  const signer = await rsaKeys(usage.decrypt | usage.sign);
  await fails(app.call(operation.decrypt, part.id(signer.privateKey), rawRsa, data), reason.denied, /would sign/);
  const plain = await rsaKeys(usage.decrypt);
  const encrypted = bytesOf(await app.call(operation.encrypt, part.id(plain.publicKey), rawRsa, data), tag.Data);
  const back = await app.call(operation.decrypt, part.id(plain.privateKey), rawRsa, part.data(encrypted));
  assert.deepEqual(bytesOf(back, tag.Data), Buffer.alloc(256, 3));
});

test("RSA takes nothing that it would not look at: no additional data, no tag, no IV", async () => {
  const { privateKey, publicKey } = await rsaKeys(usage.decrypt);
  const oaep = part.parameters({ paddingMethod: paddingMethod.oaep, hashingAlgorithm: 6 });
  const extra = item.bytes(tag.AuthenticatedEncryptionAdditionalData, text);
  const encrypt = (...more: Item[]) => app.call(operation.encrypt, part.id(publicKey), oaep, ...more);
  await fails(encrypt(part.data(text), extra), reason.field, /nothing looks at them/);
  await fails(encrypt(part.data(text), part.iv(Buffer.alloc(16))), reason.field, /no IV/);
  const data = part.data(bytesOf(await encrypt(part.data(text)), tag.Data));
  const code = item.bytes(tag.AuthenticatedEncryptionTag, Buffer.alloc(16));
  await fails(app.call(operation.decrypt, part.id(privateKey), oaep, data, code), reason.field, /nothing looks/);
});

test("an RSA key that anybody breaks protects nothing, and still reads what it protected", async () => {
  const { privateKey, publicKey } = await rsaKeys(usage.decrypt | usage.sign, 768);
  const pkcs1 = part.parameters({ paddingMethod: paddingMethod.pkcs1, hashingAlgorithm: 6 });
  for (const [each, id] of [
    [operation.encrypt, publicKey],
    [operation.sign, privateKey],
  ] as const)
    await fails(app.call(each, part.id(id), pkcs1, part.data(text)), reason.denied, /768 bits protects nothing/);
  await app.call(operation.decrypt, part.id(privateKey), pkcs1, part.data(Buffer.alloc(96, 1)));
});
