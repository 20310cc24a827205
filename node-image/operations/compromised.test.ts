import assert from "node:assert/strict";
import { test } from "node:test";
import { tag } from "../kmip/tags.ts";
import { findItem, item } from "../testing/items.ts";
import { type KmipClient, KmipFailure, operation } from "../testing/kmip-client.ts";
import { kmipSite } from "../testing/kmip-site.ts";
import type { Item } from "../ttlv/types.ts";

const denied = 12;
const keyCompromise = 2;
const id = (key: string) => item.text(tag.UniqueIdentifier, key);
const ecb = item.structure(tag.CryptographicParameters, item.enumeration(tag.BlockCipherMode, 2));
const block = item.bytes(tag.Data, Buffer.alloc(16, 1));
const split = [
  item.enumeration(tag.ObjectType, 5),
  item.integer(tag.SplitKeyParts, 3),
  item.integer(tag.SplitKeyThreshold, 3),
  item.enumeration(tag.SplitKeyMethod, 1),
  item.structure(tag.TemplateAttribute),
];

/** What somebody may try with a key that is known to others, and whether an owner can allow it. */
const uses: readonly (readonly [sentence: string, code: number, (key: string) => readonly Item[], allowed: boolean])[] =
  [
    ["Get", operation.get, (key) => [id(key)], true],
    ["Decrypt", 0x20, (key) => [id(key), ecb, block], true],
    ["Encrypt", 0x1f, (key) => [id(key), ecb, block], false],
    ["Create Split Key", 0x28, (key) => [...split.slice(0, 1), id(key), ...split.slice(1)], false],
  ];

async function compromised(app: KmipClient): Promise<string> {
  // Encrypt and Decrypt.
  const key = await app.create({ "Activation Date": 1, "Cryptographic Usage Mask": 0x0c });
  const reason = item.structure(tag.RevocationReason, item.enumeration(tag.RevocationReasonCode, keyCompromise));
  await app.call(operation.revoke, id(key), reason);
  return key;
}

for (const [sentence, code, parameters, allowed] of uses) {
  test(`${sentence} of a compromised key is refused, and its attributes stay to be seen`, async () => {
    const site = await kmipSite();
    try {
      const app = await site.connect("O=bank, CN=app");
      const key = await compromised(app);
      await assert.rejects(app.call(code, ...parameters(key)), (error) => {
        assert.ok(error instanceof KmipFailure, String(error));
        assert.equal(error.reason, denied, error.message);
        return true;
      });
      const facts = await app.call(operation.getAttributes, id(key), item.text(tag.AttributeName, "State"));
      assert.equal(findItem(facts, tag.AttributeValue)?.value, 4);
    } finally {
      await site.close();
    }
  });

  test(`${sentence} of a compromised key ${allowed ? "goes on" : "is refused"} where the fleet's owner lets old data be read`, async () => {
    const site = await kmipSite({ cryptography: { servesCompromised: true } });
    try {
      const app = await site.connect("O=bank, CN=app");
      const done = app.call(code, ...parameters(await compromised(app)));
      await (allowed ? done : assert.rejects(done, KmipFailure));
    } finally {
      await site.close();
    }
  });
}
