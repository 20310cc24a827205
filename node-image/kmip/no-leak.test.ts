import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { nodeMetrics } from "../health/metrics.ts";
import { childrenOf } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { leaksIn, type Secrets, secretsIn } from "../testing/leak-search.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { choiceFor, oasisCases } from "../testing/oasis-cases.ts";
import { type Exchange, newSeries, playCase } from "../testing/oasis-play.ts";
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
test("no key byte that any OASIS case uses is in a log, an activity line, a result message or a metric", async (t) => {
  const metrics = nodeMetrics("test", () => assert.fail("nothing is scraped of the node"));
  const written: string[] = [];
  const secrets: Secrets = new Map();
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
      cryptography: choiceFor(list),
    });
    const caller = { identity: "CN=vector", subject: "CN=vector" };
    const name = first?.series ?? "";
    const exchange: Exchange = async (message, transport) => {
      const encoding = { ttlv, https: ttlv, json, xml }[transport];
      secretsIn(message, { name: `a request of ${name}`, found: secrets }, secretTags);
      const answer = encoding.decode(await handler(encoding.encode(message), caller, encoding));
      secretsIn(answer, { name: `an answer of ${name}`, found: secrets }, secretTags);
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
  const texts = [
    ["the log and answers", written.join("\n")],
    ["the activity log", activities.map((activity) => JSON.stringify(activity)).join("\n")],
    ["the metrics", operations],
  ] as const;
  const length = texts.reduce((all, [, text]) => all + text.length, 0);
  t.diagnostic(`${secrets.size} secrets, ${activities.length} activity lines, ${length} characters searched`);
  assert.ok(secrets.size > 100, "enough keys were used");
  assert.ok(activities.length > 500, "the activity log was written");
  assert.deepEqual(leaksIn(texts, secrets), []);
});
