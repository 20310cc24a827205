import assert from "node:assert/strict";
import { before, test } from "node:test";
import { childrenOf, findItem, item, payload, template } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, type Request, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { newer } from "../testing/newer.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";
import { router, versions } from "./router.ts";
import { tag } from "./tags.ts";

const caller = { identity: "CN=a", subject: "CN=a" };
const handler = kmipHandler({ store: memoryStore(), keyring: testKeyring(), log: () => undefined });
const send = async (requests: readonly Request[], version: number, header: readonly Item[] = []) =>
  decode(await handler(encode(requestMessage(requests, { version, header })), caller));

let key = "";
before(async () => {
  const name = { nameValue: "all", nameType: 1 };
  const attributes = {
    "Cryptographic Algorithm": 3,
    "Cryptographic Length": 256,
    "Cryptographic Usage Mask": 12,
    Name: name,
    "Alternative Name": { alternativeNameValue: "all", alternativeNameType: 5 },
    "Object Group": "group",
    "Cryptographic Parameters": { blockCipherMode: 18, randomIv: true, saltLength: 20, maskGenerator: 1 },
    Link: { linkType: 0x10c, linkedObjectIdentifier: "x" },
    Description: "new in 1.4",
    Sensitive: false,
    "x-own": { type: 7, value: "mine" },
    "Contact Information": "it",
  };
  const create = {
    operation: operation.create,
    payload: payload(item.enumeration(tag.ObjectType, 2), template(attributes)),
  };
  const answer = await send([create], 14);
  key = String(findItem(answer, tag.UniqueIdentifier)?.value);
  const level = item.enumeration(tag.ProtectionLevel, 1);
  const added = await send(
    [
      {
        operation: 0x31,
        payload: payload(item.text(tag.UniqueIdentifier, key), item.structure(tag.NewAttribute, level)),
      },
    ],
    21,
  );
  for (const made of [answer, added]) assert.ok(resultsOf(made)[0]?.success, resultsOf(made)[0]?.message);
});

const id = () => item.text(tag.UniqueIdentifier, key);
const functions = Array.from({ length: 14 }, (_, at) => item.enumeration(tag.QueryFunction, at + 1));

const requests: readonly (readonly [string, (version: number) => Request])[] = [
  ["Query of everything", () => ({ operation: operation.query, payload: payload(...functions) })],
  ["Discover Versions", () => ({ operation: operation.discoverVersions, payload: payload() })],
  ["Get Attributes of everything", () => ({ operation: operation.getAttributes, payload: payload(id()) })],
  ["Get Attribute List", () => ({ operation: operation.getAttributeList, payload: payload(id()) })],
  ["Get", () => ({ operation: operation.get, payload: payload(id()) })],
  ["Locate", () => ({ operation: operation.locate, payload: payload() })],
  ["Export", () => ({ operation: 0x2b, payload: payload(id()) })],
  ["an unknown object", () => ({ operation: operation.get, payload: payload(item.text(tag.UniqueIdentifier, "x")) })],
  ["a second activation", () => ({ operation: operation.activate, payload: payload(id()) })],
  ["an operation of nobody", () => ({ operation: 0x7fffffff, payload: payload() })],
];

for (const version of versions) {
  for (const [name, request] of requests) {
    test(`KMIP ${(version / 10).toFixed(1)}: ${name} is answered with nothing that is newer`, async () => {
      const answer = await send([request(version)], version);
      assert.deepEqual(newer(answer, version), []);
      const major = findItem(answer, tag.ProtocolVersionMajor)?.value as number;
      const minor = findItem(answer, tag.ProtocolVersionMinor)?.value as number;
      assert.equal(major * 10 + minor, version);
    });
  }

  test(`KMIP ${(version / 10).toFixed(1)}: Query claims what the version has and the server serves, and nothing else`, async () => {
    const answer = await send([{ operation: operation.query, payload: payload(...functions) }], version);
    const claimed = childrenOf(resultsOf(answer)[0]?.payload, tag.Operation).map(({ value }) => value);
    const served = [...router.values()].filter(({ since }) => since <= version);
    assert.deepEqual(claimed.toSorted(), served.map(({ operation: each }) => each).toSorted());
  });

  test(`KMIP ${(version / 10).toFixed(1)}: operations that came later are not supported`, async () => {
    for (const { operation: later, since } of router.values()) {
      if (since <= version) continue;
      const [result] = resultsOf(await send([{ operation: later, payload: payload(id()) }], version));
      assert.equal(result?.reason, 5, `operation ${later}`);
    }
  });
}
