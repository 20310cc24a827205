import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, before, test } from "node:test";
import { tag } from "../kmip/tags.ts";
import { linkType, usage } from "../objects/enumerations.ts";
import type { Json, Store } from "../objects/types.ts";
import {
  bytesOf,
  createPair,
  cryptographicOperation as operation,
  part,
  textOf,
} from "../testing/cryptography-requests.ts";
import { fails } from "../testing/fails.ts";
import { attributeItem, payload, template } from "../testing/items.ts";
import { operation as basic, type KmipClient } from "../testing/kmip-client.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";
import { memoryStore } from "../testing/memory-store.ts";

/** Links are the client's to write: what Certify says and reads must not tell whether a guessed object exists. */
const absent = "00000000-0000-4000-8000-00000000dead";
const p256 = { "Cryptographic Algorithm": 6, "Cryptographic Length": 256 };
const signing = [usage.certificateSign, usage.verify] as const;
const text = (value: string): Json => ({ type: 7, value });
const subject = (name: string) => template({ "x-subject": text(`CN=${name}`) });

/** What was asked of the store, without what the answers were. */
const reads: string[] = [];
let site: KmipSite;
let owner: KmipClient;
before(async () => {
  const memory = memoryStore();
  const store: Store = {
    ...memory,
    object: (id) => {
      reads.push("object");
      return memory.object(id);
    },
    objects: (ids) => {
      reads.push(`objects ${ids.length}`);
      return memory.objects(ids);
    },
  };
  site = await kmipSite({ store });
  owner = await site.connect("O=bank, CN=owner");
});
after(() => site.close());

let strangers = 0;
const stranger = () => site.connect(`O=bank, CN=stranger ${strangers++}`);

const link = (app: KmipClient, id: string, type: number, to: string) =>
  app.call(basic.addAttribute, part.id(id), attributeItem("Link", { linkType: type, linkedObjectIdentifier: to }));

async function certify(app: KmipClient, publicKey: string, name: string): Promise<string> {
  return textOf(await app.call(operation.certify, part.id(publicKey), subject(name)), tag.UniqueIdentifier);
}

/** How a stranger's own object comes to lead to a guessed one. */
const guesses: readonly (readonly [string, "privateKey" | "publicKey", "key" | "certificate"])[] = [
  ["an own public key, to a private key", "privateKey", "key"],
  ["an own CA certificate, to a private key", "privateKey", "certificate"],
  ["an own CA certificate, to a public key", "publicKey", "certificate"],
];

for (const [what, to, from] of guesses) {
  test(`Certify says the same of a link of ${what}, whether that is somebody's or nobody's`, async () => {
    const victim = await createPair(owner, p256, signing);
    const asked = async (target: string) => {
      const app = await stranger();
      const uses = from === "certificate" ? signing : ([usage.sign, usage.verify] as const);
      const pair = await createPair(app, p256, uses);
      const subjectKey = from === "key" ? pair : await createPair(app, p256, [usage.sign, usage.verify]);
      const linking = from === "key" ? pair.publicKey : await certify(app, pair.publicKey, "root");
      await link(app, linking, linkType[to], target);
      reads.length = 0;
      const [result] = await app.batch([
        { operation: operation.certify, payload: payload(part.id(subjectKey.publicKey), subject("leaf")) },
      ]);
      return { reason: result?.reason, message: result?.message?.replaceAll(target, "ID"), reads: [...reads] };
    };
    const theirs = await asked(victim[to]);
    assert.deepEqual(theirs, await asked(absent));
    assert.equal(theirs.reason, 6);
    assert.match(theirs.message ?? "", /0 certificates of CAs/);
  });
}

/** What a wrong link of an own key pair leads to a signature by. */
const misled: readonly (readonly [string, (app: KmipClient) => Promise<unknown>])[] = [
  [
    "a certificate that signs itself, by another pair's private key",
    async (app) => {
      const [pair, other] = [await createPair(app, p256, signing), await createPair(app, p256, signing)];
      await link(app, pair.publicKey, linkType.privateKey, other.privateKey);
      return certify(app, pair.publicKey, "root");
    },
  ],
  [
    "a certificate by a CA, by a private key that is not the CA's",
    async (app) => {
      const [pair, other] = [await createPair(app, p256, signing), await createPair(app, p256, signing)];
      await link(app, await certify(app, pair.publicKey, "root"), linkType.privateKey, other.privateKey);
      return certify(app, (await createPair(app, p256, [usage.sign, usage.verify])).publicKey, "leaf");
    },
  ],
];

for (const [what, make] of misled) {
  test(`refused: ${what}`, async () => {
    await fails(make(await stranger()), 7, /is not that of/);
  });
}

test("an own private key that is archived is told: no other issuer takes its place", async () => {
  const app = await stranger();
  await certify(app, (await createPair(app, p256, signing)).publicKey, "root");
  const pair = await createPair(app, p256, signing);
  await app.call(0x15, part.id(pair.privateKey));
  await assert.rejects(certify(app, pair.publicKey, "leaf"), /archived/);
});

test("a CA whose private key is archived is passed over when one is chosen", async () => {
  const app = await stranger();
  for (const name of ["old root", "root"]) {
    const pair = await createPair(app, p256, signing);
    await certify(app, pair.publicKey, name);
    if (name === "old root") await app.call(0x15, part.id(pair.privateKey));
  }
  const pair = await createPair(app, p256, [usage.sign, usage.verify]);
  const leaf = await app.call(operation.get, part.id(await certify(app, pair.publicKey, "leaf")));
  assert.equal(new X509Certificate(bytesOf(leaf, tag.CertificateValue)).issuer, "CN=root");
});
