import assert from "node:assert/strict";
import { test } from "node:test";
import { packMaterial, sealContext, unpackMaterial } from "./material.ts";

const object = { id: "0f0e0d0c-0000-4000-8000-000000000001", owner: "CN=a,O=bank", objectType: 2 };

test("what is packed is unpacked", () => {
  const material = { format: 1, subtype: 0x80000001, algorithm: 3, lengthBits: 256, bytes: Buffer.from("key") };
  assert.deepEqual(unpackMaterial(packMaterial(material)), material);
});

test("what is packed wrapped is unpacked with its wrapping", () => {
  const wrapping = { wrappingMethod: 1, encryptionKey: { uniqueIdentifier: "k" }, encodingOption: 1 };
  const material = { format: 1, subtype: 0, algorithm: 3, lengthBits: 256, bytes: Buffer.from("wrapped"), wrapping };
  assert.deepEqual(unpackMaterial(packMaterial(material)), material);
});

test("another layout is refused", () => {
  const packed = packMaterial({ format: 1, subtype: 0, algorithm: 3, lengthBits: 24, bytes: Buffer.from("key") });
  packed[0] = 3;
  assert.throws(() => unpackMaterial(packed), /unknown layout/);
  assert.throws(() => unpackMaterial(Buffer.alloc(3)), /unknown layout/);
});

const others = [
  ["identifier", { ...object, id: "0f0e0d0c-0000-4000-8000-000000000002" }],
  ["owner", { ...object, owner: "CN=b,O=bank" }],
  ["type", { ...object, objectType: 7 }],
  ["identifier and owner with the same text in all", { ...object, id: `${object.id}C`, owner: object.owner.slice(1) }],
] as const;

for (const [what, other] of others) {
  test(`the seal is bound to the ${what}`, () => assert.notDeepEqual(sealContext(other), sealContext(object)));
}
