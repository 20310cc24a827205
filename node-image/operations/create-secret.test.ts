import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { attributes } from "../kmip/attributes.ts";
import { tag } from "../kmip/tags.ts";
import { findItem, item, template } from "../testing/items.ts";
import { KmipFailure, operation } from "../testing/kmip-client.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";
import type { Item } from "../ttlv/types.ts";

/** Create of Secret Data, since KMIP 2.0 (6.1.6). */
let site: KmipSite;
before(async () => {
  site = await kmipSite();
});
after(() => site.close());

const secretData = item.enumeration(tag.ObjectType, 7);

async function made(version: number, bits: number): Promise<{ readonly id: string; readonly given: Item }> {
  const app = await site.connect("O=bank, CN=app", { version });
  const list = attributes.write(tag.Attributes, [{ name: "Cryptographic Length", value: bits }], version);
  const created = await app.call(operation.create, secretData, list);
  const id = String(findItem(created, tag.UniqueIdentifier)?.value);
  return { id, given: await app.call(operation.get, item.text(tag.UniqueIdentifier, id)) };
}

for (const version of [20, 21]) {
  test(`KMIP ${version / 10}: Create makes a password of random bytes, of the length that is asked for`, async () => {
    const { id, given } = await made(version, 80);
    const bytes = findItem(given, tag.KeyMaterial)?.value as Buffer;
    assert.equal(bytes.length, 10);
    assert.notDeepEqual(bytes, findItem((await made(version, 80)).given, tag.KeyMaterial)?.value);
    assert.deepEqual(
      [tag.ObjectType, tag.SecretDataType, tag.KeyFormatType].map((each) => findItem(given, each)?.value),
      [7, 1, 2],
    );
    assert.equal(findItem(given, tag.CryptographicAlgorithm), undefined);
    const old = await site.connect("O=bank, CN=app");
    const told = await old.attributes(id, "Cryptographic Length", "Digest", "State");
    assert.equal(told["Cryptographic Length"], 80);
    assert.equal(told.State, 1);
    assert.ok("Digest" in told);
  });
}

for (const bits of [0, 7, 12, 8200, 2 ** 31 - 8]) {
  test(`Secret Data of ${bits} bits are not made`, async () => {
    await assert.rejects(
      made(21, bits),
      (error) => error instanceof KmipFailure && /8 to 8192 bits/.test(error.message),
    );
  });
}

test("before 2.0 Create makes Symmetric Keys only", async () => {
  const app = await site.connect("O=bank, CN=app", { version: 14 });
  const request = app.call(operation.create, secretData, template({ "Cryptographic Length": 80 }));
  await assert.rejects(request, (error) => error instanceof KmipFailure && /Symmetric Keys/.test(error.message));
});
