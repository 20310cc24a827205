import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { callerOf } from "../access/identity.ts";
import { locateMax, type Store } from "../objects/types.ts";
import { payload } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { keptSince, memoryUse } from "../testing/memory-use.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { searchLimits } from "./turns.ts";

/** Searches at once by callers who own many objects each: the identifiers that they hold are bounded together. */
const many = 20_000;

/** A server whose callers own so many objects, which are looked at when the gate opens; "few" owns three, and has no gate. */
function aServer(owned = many) {
  const gate = Promise.withResolvers<void>();
  const memory = memoryStore();
  const locate: Store["locate"] = async ({ owner }, most = locateMax) => {
    if (owner === undefined) return [];
    const count = owner.includes("CN=few") ? 3 : Math.min(owned, most + 1);
    return Array.from({ length: count }, () => Buffer.from(randomUUID()).toString());
  };
  const descriptions: Store["descriptions"] = async function* (ids) {
    if (ids.length > 3) await gate.promise;
    yield* memory.descriptions(ids);
  };
  const store: Store = { ...memory, locate, descriptions };
  const handler = kmipHandler({ store, keyring: testKeyring(), log: () => undefined });
  const search = async (as: string) => {
    const request = requestMessage([{ operation: operation.locate, payload: payload() }], { version: 14 });
    const [result] = resultsOf(decode(await handler(encode(request), callerOf(`CN=${as}`, "CN=clients"))));
    return result?.success === true ? "found" : (result?.message ?? "");
  };
  return { search, open: gate.resolve };
}

const quiet = () => new Promise((resolve) => setTimeout(resolve, 0));

test("however many search at once, no more than a few of them hold all identifiers; a small search passes them", async () => {
  const { search, open } = aServer();
  const before = memoryUse();
  const asked = Array.from({ length: 40 }, (_, at) => search(`caller ${at}`));
  await quiet();
  const most = searchLimits.atOnce * many * 100 + 40 * 500 * 100;
  const kept = await keptSince(before, most);
  assert.ok(kept <= most, `${kept} bytes kept`);
  assert.equal(await search("few"), "found");
  open();
  assert.deepEqual(new Set(await Promise.all(asked)), new Set(["found"]));
});

test("who searches so more often than may wait is refused at once, and does not keep others out", async () => {
  const { search, open } = aServer();
  const mayBegin = searchLimits.atOnce + searchLimits.waitingOfCaller;
  const asked = Array.from({ length: mayBegin }, () => search("flood"));
  assert.match(await search("flood"), /Too many searches among many objects/);
  const other = search("other");
  open();
  assert.deepEqual(new Set(await Promise.all([...asked, other])), new Set(["found"]));
});

test("a search among more objects than one looks through is told so", async () => {
  const { search, open } = aServer(locateMax + 1);
  open();
  assert.match(await search("caller"), /More than 100000 objects may match/);
});
