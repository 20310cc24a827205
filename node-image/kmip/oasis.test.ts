import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { testKeyring } from "../testing/keyring.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { valuesOf } from "../testing/kmip-xml.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { choiceFor, type OasisCase, oasisCases } from "../testing/oasis-cases.ts";
import { defects } from "../testing/oasis-defects.ts";
import { type Exchange, newSeries, playCase } from "../testing/oasis-play.ts";
import { ttlv } from "./encoding.ts";
import { router } from "./router.ts";
import { json, xml } from "./vocabulary.ts";

/** The official KMIP profile test cases lie beside the checkout. */
const folder = join(import.meta.dirname, "../../../shared/kmip-oasis");
const all = oasisCases(
  ["v1.0-1.2", "v1.4", "v2.1"].flatMap((version) => [
    join(folder, version, "mandatory"),
    join(folder, version, "optional"),
  ]),
);
const served = new Set([...router.values()].map(({ name }) => name.replaceAll(/[^A-Za-z]/g, "").toLowerCase()));

/** An operation that a case needs and nobody serves. */
function missing({ exchanges }: OasisCase): string | undefined {
  const used = exchanges.flatMap(({ request }) => valuesOf(request, "Operation"));
  return used.find((name) => !served.has(name.replaceAll(/[^A-Za-z]/g, "").toLowerCase()));
}

const series = Map.groupBy(all, (each) => each.series);
const runnable = [...series].filter(([, cases]) => cases.every((each) => missing(each) === undefined));

test("every OASIS case of the folders is run", () => {
  assert.deepEqual(
    all.map(missing).filter((operation) => operation !== undefined),
    [],
  );
  assert.equal(all.length, 252);
});

const encodings = { ttlv, https: ttlv, json, xml } as const;

for (const [, cases] of runnable) {
  const names = cases.map(({ name }) => name).join(", ");
  test(`OASIS ${names}`, async () => {
    const cryptography = choiceFor(cases);
    const handler = kmipHandler({ store: memoryStore(), keyring: testKeyring(), log: () => undefined, cryptography });
    const known = newSeries();
    const caller = { identity: "CN=vector", subject: "CN=vector" };
    const exchange: Exchange = async (message, transport) => {
      const encoding = encodings[transport];
      return encoding.decode(await handler(encoding.encode(message), caller, encoding));
    };
    for (const each of cases) {
      const differences = await playCase(each, exchange, known);
      const defect = defects.get(each.name);
      assert.deepEqual(
        differences.filter((line) => defect?.difference.test(line) !== true),
        [],
        each.name,
      );
    }
  });
}
