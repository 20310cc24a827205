import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { testKeyring } from "../testing/keyring.ts";
import { type Bindings, type Difference, differences } from "../testing/kmip-compare.ts";
import { type Element, parseXml, toItem } from "../testing/kmip-xml.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { kmipHandler } from "./handler.ts";
import { router } from "./router.ts";

/** The official KMIP profile test cases lie beside the checkout. */
const folder = join(import.meta.dirname, "../../../shared/kmip-oasis");
const groups = ["v1.0-1.2/mandatory", "v1.0-1.2/optional", "v1.4/mandatory", "v1.4/optional"];

const served = new Set([...router.values()].map(({ name }) => name.replaceAll(" ", "")));

/** Cases that go on with the objects of those before them. */
const series = /^(SASED-M|TL-M)-\d+/;

/** Why a case cannot pass here: a rule each, so that a case comes in by itself once its feature does. */
const reasons: readonly (readonly [string, (elements: readonly Element[]) => boolean])[] = [
  ["uses operations that are not served", (all) => valuesOf(all, "Operation").some((name) => !served.has(name))],
  ["uses templates, deprecated since 1.3", (all) => valuesOf(all, "ObjectType").includes("Template")],
  ["asks for wrapped keys", (all) => all.some(({ name }) => name === "KeyWrappingSpecification")],
  ["wants a batch undone on failure", (all) => valuesOf(all, "BatchErrorContinuationOption").includes("Undo")],
  ["creates keys of withdrawn ciphers", (all) => all.some(({ value }) => value === "DES3" || value === "SKIPJACK")],
];

/** The cases before this one in its series. */
function continued({ name }: { readonly name: string }): readonly Case[] {
  const prefix = series.exec(name)?.[1];
  return prefix === undefined ? [] : all.filter((other) => other.name.startsWith(prefix) && other.name < name);
}

interface Case {
  readonly name: string;
  readonly root: Element;
  readonly unsupported: string | undefined;
}

function cases(): Case[] {
  assert.ok(existsSync(folder), `the OASIS test cases are missing: expected at ${folder}`);
  return groups.flatMap((group) =>
    readdirSync(join(folder, group))
      .sort()
      .map((file) => {
        const root = parseXml(readFileSync(join(folder, group, file), "utf8"));
        const all = flat(root);
        return { name: file, root, unsupported: reasons.find(([, applies]) => applies(all))?.[0] };
      }),
  );
}

function flat(element: Element): Element[] {
  return [element, ...element.children.flatMap(flat)];
}

function valuesOf(elements: readonly Element[], name: string): string[] {
  return elements.filter((element) => element.name === name).map(({ value }) => value);
}

const all = cases();
const runnable = all.filter((each) => [each, ...continued(each)].every(({ unsupported }) => unsupported === undefined));

test("enough of the OASIS cases apply", (context) => {
  const counts = Object.groupBy(all, ({ unsupported }) => unsupported ?? "run");
  for (const [reason, list] of Object.entries(counts)) context.diagnostic(`${reason}: ${list?.length ?? 0}`);
  assert.ok(runnable.length >= 60, "fewer cases than before are run");
});

for (const each of runnable) {
  test(`OASIS ${each.name}`, async () => assert.deepEqual(await play(each), []));
}

/** Plays the cases that this one continues, then itself: sends each request and compares the answers; what differs. */
async function play(last: Case): Promise<Difference[]> {
  const handler = kmipHandler({ store: memoryStore(), keyring: testKeyring(), log: () => undefined });
  const bound: Bindings = new Map();
  const found: Difference[] = [];
  for (const { name, root } of [...continued(last), last]) {
    if (valuesOf(flat(root), "Operation").includes("Create")) bound.set("generated", "");
    for (const [at, element] of root.children.entries()) {
      if (element.name !== "RequestMessage") continue;
      const expected = root.children[at + 1];
      assert.equal(expected?.name, "ResponseMessage");
      const request = encode(toItem(element, (placeholder) => bound.get(placeholder) ?? date(placeholder)));
      const answer = decode(await handler(request, { identity: "CN=vector", subject: "CN=vector" }));
      found.push(
        ...differences(expected, answer, bound).map((difference) => `${name} message ${at + 1}: ${difference}`),
      );
    }
  }
  return found;
}

function date(placeholder: string): string {
  const match = /^\$NOW([+-]\d+)?$/.exec(placeholder);
  assert.ok(match, `${placeholder} is not bound`);
  return new Date(Date.now() + Number(match[1] ?? 0) * 1000).toISOString();
}
