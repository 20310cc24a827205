import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { profileNames, profilesOf } from "../operations/profiles.ts";
import { childrenOf, item, payload } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { valuesOf } from "../testing/kmip-xml.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { type OasisCase, oasisCases } from "../testing/oasis-cases.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { enumerations } from "./enumerations.ts";
import { tag } from "./tags.ts";
import { wordOf } from "./words.ts";

/** The OASIS cases of each profile, by the beginning of their names; Baseline had none before 2.1. */
const casesOf: Readonly<Record<string, RegExp | undefined>> = {
  "Baseline Server": /^BL-M/,
  "Baseline Server Basic": undefined,
  "Baseline Server TLS v1.2": undefined,
  "Tape Library Server": /^TL-M/,
  "Symmetric Key Lifecycle Server": /^SKLC-M/,
  "Asymmetric Key Lifecycle Server": /^AKLC-M/,
  "Basic Cryptographic Server": /^CS-BC-M/,
  "Advanced Cryptographic Server": /^CS-AC-M/,
  "RNG Cryptographic Server": /^CS-RNG-M/,
  "Symmetric Key Foundry Server": /^SKFF-M/,
  "Opaque Managed Object Store Server": /^OMOS-M/,
  "Storage Array with Self Encrypting Drive Server": /^SASED-M/,
  "Suite B minLOS_128 Server": /^SUITEB_128-M/,
  "Suite B minLOS_192 Server": /^SUITEB_192-M/,
  "HTTPS Server": /^MSGENC-HTTPS-M/,
  "JSON Server": /^MSGENC-JSON-M/,
  "XML Server": /^MSGENC-XML-M/,
  "AES XTS Server": /^AX-M/,
  "Quantum Safe Server": /^QS-M/,
  "PKCS#11 Server": /^PKCS11-M/,
};

/** What a Baseline Server must serve whatever else it does (KMIP Profiles 1.4, 5.1; 2.1, 5.1). */
const baseline =
  "Locate Check Get GetAttributes GetAttributeList AddAttribute ModifyAttribute DeleteAttribute Activate Revoke Destroy Query DiscoverVersions".split(
    " ",
  );

const folder = join(import.meta.dirname, "../../../shared/kmip-oasis");
const sets: Readonly<Record<number, string>> = { 14: "v1.4", 21: "v2.1" };
const handler = kmipHandler({ store: memoryStore(), keyring: testKeyring(), log: () => undefined });

async function claimed(version: number, queryFunction: number, number: number): Promise<readonly number[]> {
  const request = {
    operation: operation.query,
    payload: payload(item.enumeration(tag.QueryFunction, queryFunction)),
  };
  const answer = decode(
    await handler(encode(requestMessage([request], { version })), { identity: "CN=a", subject: "CN=a" }),
  );
  const found = childrenOf(resultsOf(answer)[0]?.payload, number);
  return found.map((each) => Number((each.type === 1 ? childrenOf(each, tag.ProfileName)[0] : each)?.value));
}

const words = new Map([...enumerations.operation.names].map(([number, name]) => [number, wordOf(name)]));

/** Operations that the cases ask for, and that must succeed in them. */
function operationsIn(cases: readonly OasisCase[]): string[] {
  return [
    ...new Set(cases.flatMap(({ exchanges }) => exchanges.flatMap(({ request }) => valuesOf(request, "Operation")))),
  ];
}

for (const [version, set] of Object.entries(sets).map(([number, name]) => [Number(number), name] as const)) {
  test(`KMIP ${(version / 10).toFixed(1)}: of every profile that Query names the mandatory operations are served and its cases are run`, async () => {
    const profiles = await claimed(version, 10, tag.ProfileInformation);
    assert.deepEqual(profiles, profilesOf(version));
    const served = (await claimed(version, 1, tag.Operation)).map((number) => words.get(number));
    const all = oasisCases([join(folder, set, "mandatory")]);
    for (const name of profileNames) {
      assert.ok(name in casesOf, `${name} has no row in this test`);
      const pattern = casesOf[name];
      const cases = all.filter((each) => pattern?.test(each.name));
      const wanted = pattern === undefined ? baseline : [...baseline, ...operationsIn(cases)];
      assert.deepEqual(
        wanted.filter((each) => !served.includes(each)),
        [],
        name,
      );
    }
    const run = profileNames.filter(
      (name) => casesOf[name] !== undefined && all.some((each) => casesOf[name]?.test(each.name)),
    );
    assert.ok(run.length >= 15, `cases of ${run.join(", ")}`);
  });
}
