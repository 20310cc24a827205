import assert from "node:assert/strict";
import { test } from "node:test";
import type { Caller } from "../access/identity.ts";
import { askEverything } from "../testing/every-operation.ts";
import { attributeItem, item, payload } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, type Request, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";
import { router } from "./router.ts";
import { tag } from "./tags.ts";

const admin = { identity: "CN=admin", subject: "CN=admin" };
const someone = { identity: "CN=a", subject: "CN=a" };
const record = item.text(tag.UniqueIdentifier, `keyfleet:user:${someone.identity}`);

/** A server, and what a caller asked of it, each operation once, so that it was done. */
async function everythingDone(version: number) {
  const handler = kmipHandler({
    store: memoryStore(),
    keyring: testKeyring(),
    log: () => undefined,
    firstAdministrators: () => [admin.subject],
  });
  const exchange = async (message: Item, caller: Caller) => decode(await handler(encode(message), caller));
  const send = async (request: Request, caller: Caller, as = version) =>
    resultsOf(await exchange(requestMessage([request], { version: as }), caller))[0];
  const say = async (name: string) => {
    const said = payload(record, attributeItem(name, { type: 7, value: "yes" }));
    const answer = await send({ operation: operation.addAttribute, payload: said }, admin, 14);
    assert.equal(answer?.success, true, answer?.message);
  };
  await say("x-keyfleet-role-administrator");
  const asked = new Map<string, Request>();
  await askEverything(version, (number, children, header = []) => {
    const { since = 0, name = "" } = router.get(number) ?? {};
    if (since > version) return Promise.resolve(undefined);
    const request = { operation: number, payload: payload(...children) };
    if (header.length === 0) asked.set(name, request);
    return exchange(requestMessage([request], { version, header }), someone);
  });
  return { asked, send, say };
}

const open: ReadonlySet<string> = new Set(["Query", "Discover Versions", "Ping", "Set Endpoint Role", "Logout"]);
const permissionDenied = 0x0c;

for (const version of [14, 21]) {
  test(`KMIP ${version / 10}: a suspended user does nothing that was done for it before, but what tells and uses nothing of the fleet`, async () => {
    const { asked, send, say } = await everythingDone(version);
    const served = [...router.values()].filter(({ since }) => since <= version).map(({ name }) => name);
    assert.deepEqual([...asked.keys()].sort(), served.sort());
    await say("x-keyfleet-suspended");
    const done: string[] = [];
    for (const [name, request] of asked) {
      const answer = await send(request, someone);
      const refused = answer?.reason === permissionDenied && /access is suspended/.test(answer.message ?? "");
      if (!refused) done.push(name);
    }
    assert.deepEqual(done.sort(), [...open].filter((name) => asked.has(name)).sort());
  });
}
