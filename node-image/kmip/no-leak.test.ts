import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { nodeMetrics } from "../health/metrics.ts";
import { childrenOf } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { choiceFor, oasisCases } from "../testing/oasis-cases.ts";
import { type Exchange, newSeries, playCase } from "../testing/oasis-play.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import type { Activity } from "./activity.ts";
import { ttlv } from "./encoding.ts";
import { kmipHandler } from "./handler.ts";
import { tag } from "./tags.ts";
import { json, xml } from "./vocabulary.ts";

const folder = join(import.meta.dirname, "../../../shared/kmip-oasis");
const cases = oasisCases(
  ["v1.0-1.2", "v1.4", "v2.1"].flatMap((version) => [
    join(folder, version, "mandatory"),
    join(folder, version, "optional"),
  ]),
);

/** Fields that hold key bytes, or what keys protect. */
const secretTags = new Set<number>([
  tag.KeyMaterial,
  tag.Key,
  tag.D,
  tag.P,
  tag.Q,
  tag.PrivateExponent,
  tag.Data,
  tag.DerivationData,
  tag.OpaqueDataValue,
]);
/** Shorter ones could be in a text by chance. */
const secretMinBytes = 8;

function secretsIn(item: Item, found: Set<string>, inside = false): void {
  const secret = inside || secretTags.has(item.tag);
  if (item.type === itemType.structure) for (const child of item.value) secretsIn(child, found, secret);
  else if (secret && item.type === itemType.byteString && item.value.length >= secretMinBytes)
    found.add(item.value.toString("hex"));
  else if (secret && item.type === itemType.bigInteger) found.add(item.value.toString(16));
}

/** Every way in which bytes could stand in a text. */
function formsOf(hex: string): string[] {
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
  return [
    hex.toLowerCase(),
    hex.toUpperCase(),
    bytes.toString("base64").replace(/=+$/, ""),
    bytes.toString("base64url"),
    JSON.stringify(bytes.toString("latin1")).slice(1, -1),
    JSON.stringify(bytes.toString("utf8")).slice(1, -1),
    [...bytes].join(","),
  ];
}

test("no key byte that any OASIS case uses is in a log, an activity line, a result message or a metric", async (t) => {
  const metrics = nodeMetrics("test", () => assert.fail("nothing is scraped of the node"));
  const written: string[] = [];
  const secrets = new Set<string>();
  const activities: Activity[] = [];
  const series = Map.groupBy(cases, (each) => each.series);
  for (const [, list] of series) {
    const [first] = list;
    const handler = kmipHandler({
      store: memoryStore(),
      keyring: testKeyring(),
      log: (fields) => void written.push(JSON.stringify(fields)),
      activity: (activity) => void activities.push(activity()),
      metrics: metrics.operations,
      cryptography: first === undefined ? {} : choiceFor(first),
    });
    const caller = { identity: "CN=vector", subject: "CN=vector" };
    const exchange: Exchange = async (message, transport) => {
      const encoding = { ttlv, https: ttlv, json, xml }[transport];
      secretsIn(message, secrets);
      const answer = encoding.decode(await handler(encoding.encode(message), caller, encoding));
      secretsIn(answer, secrets);
      for (const item of childrenOf(answer, tag.BatchItem)) {
        for (const message of childrenOf(item, tag.ResultMessage)) written.push(String(message.value));
      }
      return answer;
    };
    // What does not pass yet is played all the same: failures must not tell more than successes.
    const known = newSeries();
    for (const each of list) await playCase(each, exchange, known).catch(() => undefined);
  }
  const counted = (await metrics.registry.getMetricsAsArray()).map(({ name }) => name);
  const operations = await metrics.registry.getSingleMetricAsString("keyfleet_kmip_operations_total");
  assert.ok(counted.length > 0 && operations.length > 0);
  const text = [...written, ...activities.map((activity) => JSON.stringify(activity)), operations].join("\n");
  t.diagnostic(`${secrets.size} secrets, ${activities.length} activity lines, ${text.length} characters searched`);
  assert.ok(secrets.size > 100, "enough keys were used");
  assert.ok(activities.length > 500, "the activity log was written");
  const found = [...secrets].filter((hex) => formsOf(hex).some((form) => text.includes(form)));
  assert.deepEqual(found, []);
});

test("a search for what was not used finds what is there: the forms are those of logs", () => {
  const bytes = Buffer.from("00112233445566778899", "hex");
  for (const text of [
    JSON.stringify({ key: bytes.toString("base64") }),
    `key ${bytes.toString("hex")}`,
    JSON.stringify([...bytes]),
  ]) {
    assert.ok(
      formsOf(bytes.toString("hex")).some((form) => text.includes(form)),
      text,
    );
  }
});
