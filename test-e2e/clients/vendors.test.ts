import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { tag } from "../../node-image/kmip/tags.ts";
import { Fleet } from "../../node-image/testing/fleet.ts";
import { findItem, template } from "../../node-image/testing/items.ts";
import type { KmipClient } from "../../node-image/testing/kmip-client.ts";
import { runVendor } from "./vendor-programs.ts";

/** Products' own client code, unchanged, against a real node: what they do with a key server in their every day. */
let fleet: Fleet;
let bank: KmipClient;
const keys = { aes: "", rsa: "" };
const createKeyPair = 0x02;
before(async () => {
  fleet = await Fleet.start();
  await fleet.add("dc1-a");
  await fleet.found("dc1-a");
  bank = await fleet.connect("dc1-a", "bank");
  keys.aes = await bank.create();
  await bank.activate(keys.aes);
  keys.rsa = await rsaPair();
});
after(async () => {
  bank?.close();
  await fleet?.stop();
});

const seals = [
  ["AES_GCM", "aes"],
  ["RSA_OAEP_SHA256", "rsa"],
  ["RSA_OAEP_SHA384", "rsa"],
  ["RSA_OAEP_SHA512", "rsa"],
] as const;

for (const [algorithm, key] of seals) {
  test(`OpenBao's auto-unseal by ${algorithm}: the root key is sealed, and opened after a restart; a changed seal is not`, async () => {
    const options = ["-id", keys[key], "-algorithm", algorithm];
    const told = await runVendor("openbao", await fleet.access("dc1-a", "bank"), options);
    assert.deepEqual([told.error, told.kmip_version, told.kms_key_id], [undefined, "1.4", keys[key]]);
  });
}

test("OpenBao's auto-unseal is refused with a key of somebody else's", async () => {
  const options = ["-id", keys.aes, "-algorithm", "AES_GCM"];
  const told = await runVendor("openbao", await fleet.access("dc1-a", "stranger"), options);
  assert.match(told.error ?? "", /invalid kmip key object.*There is no object/s);
});

/** Who writes sends Register, Activate, Get and Get, or Create, Activate, Encrypt and Decrypt; who reads sends the last alone. */
const drivers = [
  ["keeps its master key as Secret Data (1.0)", [], 96],
  ["leaves its master key on the server (delegated, 1.2)", ["-delegated"], 32],
] as const;

for (const [how, options, bytes] of drivers) {
  test(`MongoDB's driver library ${how}: what one client encrypts another one reads`, async () => {
    const told = await runVendor("mongocrypt", await fleet.access("dc1-a", "bank"), options);
    assert.deepEqual([told.error, told.requests, told.delegated], [undefined, [4, 1], options.length > 0]);
    assert.equal((await bank.get(String(told.id))).length, bytes);
  });
}

/** Makes and activates a pair that knows of each other; the private key's identifier. */
async function rsaPair(): Promise<string> {
  const of = (number: number, mask: number) => ({ ...template({ "Cryptographic Usage Mask": mask }), tag: number });
  const common = {
    ...template({ "Cryptographic Algorithm": 4, "Cryptographic Length": 2048 }),
    tag: tag.CommonTemplateAttribute,
  };
  const privateMask = of(tag.PrivateKeyTemplateAttribute, 8);
  const pair = await bank.call(createKeyPair, common, privateMask, of(tag.PublicKeyTemplateAttribute, 4));
  const [key, publicKey] = [tag.PrivateKeyUniqueIdentifier, tag.PublicKeyUniqueIdentifier].map((each) =>
    String(findItem(pair, each)?.value),
  );
  for (const each of [key, publicKey]) await bank.activate(each ?? "");
  return key ?? "";
}
