import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { testKeyring } from "../testing/keyring.ts";
import { memoryStore } from "../testing/memory-store.ts";
import {
  choiceFor,
  defects,
  type Exchange,
  type OasisCase,
  oasisCases,
  playCase,
  valuesOf,
} from "../testing/oasis-cases.ts";
import { ttlv } from "./encoding.ts";
import { kmipHandler } from "./handler.ts";
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
function missing({ root }: OasisCase): string | undefined {
  const requests = root.children.filter(({ name }) => name === "RequestMessage");
  const used = requests.flatMap((request) => valuesOf(request, "Operation"));
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

for (const [name, cases] of runnable) {
  if (defects.has(name)) continue;
  test(`OASIS ${name}`, async () => {
    const [first] = cases;
    const cryptography = first === undefined ? {} : choiceFor(first);
    const handler = kmipHandler({ store: memoryStore(), keyring: testKeyring(), log: () => undefined, cryptography });
    const bound = new Map<string, string>();
    const caller = { identity: "CN=vector", subject: "CN=vector" };
    const exchange: Exchange = async (message, transport) => {
      const encoding = encodings[transport];
      return encoding.decode(await handler(encoding.encode(message), caller, encoding));
    };
    for (const each of cases) assert.deepEqual(await playCase(each, exchange, bound), [], each.name);
  });
}
