import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { join } from "node:path";
import { test } from "node:test";
import { attributeRule, attributeRules } from "../objects/attribute-rules.ts";
import { askEverything } from "../testing/every-operation.ts";
import { findItem, item, payload } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { attributesOf, newer, specifies } from "../testing/newer.ts";
import { choiceFor, oasisCases } from "../testing/oasis-cases.ts";
import { newSeries, playCase } from "../testing/oasis-play.ts";
import { seeded, shuffled } from "../testing/random.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { router, versions } from "./router.ts";
import { tag } from "./tags.ts";

const folder = join(import.meta.dirname, "../../../shared/kmip-oasis");
const seed = Number(process.env.KEYFLEET_SEED ?? randomInt(2 ** 31));
/** Cases of each version; a failing seed is repeated by KEYFLEET_SEED. */
const casesMax = 24;

/** The same message as one of another version. */
function asVersion(message: Item, version: number): Item {
  if (message.type !== itemType.structure) return message;
  if (message.tag === tag.ProtocolVersion) {
    const number = [tag.ProtocolVersionMajor, tag.ProtocolVersionMinor] as const;
    return item.structure(
      message.tag,
      item.integer(number[0], Math.floor(version / 10)),
      item.integer(number[1], version % 10),
    );
  }
  return { ...message, value: message.value.map((child) => asVersion(child, version)) };
}

for (const version of versions) {
  test(`KMIP ${(version / 10).toFixed(1)}: whatever an OASIS case asks, nothing newer is in an answer`, async (t) => {
    t.diagnostic(`KEYFLEET_SEED=${seed}`);
    const sets = version < 20 ? ["v1.0-1.2", "v1.4"] : ["v2.1"];
    const cases = oasisCases(sets.map((set) => join(folder, set))).filter(({ transport }) => transport === "ttlv");
    const found: string[] = [];
    for (const each of shuffled(cases, seeded(seed)).slice(0, casesMax)) {
      const handler = kmipHandler({
        store: memoryStore(),
        keyring: testKeyring(),
        log: () => undefined,
        cryptography: choiceFor([each]),
      });
      const send = async (message: Item) => {
        const answer = decode(
          await handler(encode(asVersion(message, version)), { identity: "CN=a", subject: "CN=a" }),
        );
        found.push(...newer(answer, version).map((what) => `${each.name}: ${what}`));
        return answer;
      };
      await playCase(each, send, newSeries());
    }
    assert.deepEqual(found, []);
  });

  test(`KMIP ${(version / 10).toFixed(1)}: every operation that is served is asked for, and nothing newer is in an answer`, async () => {
    const { asked, refusals, found } = await everything(version);
    assert.deepEqual(found, []);
    assert.deepEqual(refusals, []);
    const served = [...router.values()].filter(({ since }) => since <= version).map(({ name }) => name);
    assert.deepEqual(
      served.filter((name) => !asked.has(name)),
      [],
    );
  });
}

/** What came of asking for everything. */
async function everything(version: number) {
  const handler = kmipHandler({
    store: memoryStore(),
    keyring: testKeyring(),
    log: () => undefined,
    firstAdministrators: () => ["CN=a"],
  });
  const asked = new Set<string>();
  const refusals: string[] = [];
  const found: string[] = [];
  const call = async (number: number, children: readonly (Item | undefined)[], header: readonly Item[] = []) => {
    const { since = 0, name = "" } = router.get(number) ?? {};
    if (since > version) return undefined;
    asked.add(name);
    const message = encode(requestMessage([{ operation: number, payload: payload(...children) }], { version, header }));
    const answer = decode(await handler(message, { identity: "CN=a", subject: "CN=a" }));
    found.push(...newer(answer, version).map((what) => `${name}: ${what}`));
    const [result] = resultsOf(answer);
    const status = findItem(answer, tag.ResultStatus)?.value;
    if (status === 1) refusals.push(`${name}: ${result?.message}`);
    return answer;
  };
  await askEverything(version, call);
  return { asked, refusals, found };
}

for (const version of versions) {
  test(`KMIP ${(version / 10).toFixed(1)}: the attributes that are served are those that its specification has`, () => {
    const names = new Set([...Object.keys(attributeRules), ...Object.values(attributesOf).flat()]);
    const served = [...names].filter((name) => attributeRule(name, version) !== undefined);
    assert.deepEqual(served.sort(), [...names].filter((name) => specifies(name, version)).sort());
  });
}
