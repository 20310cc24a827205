import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { tag } from "../kmip/tags.ts";
import type { Change, Store } from "../objects/types.ts";
import { attributeItem, childrenOf, findItem, item, payload, template } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, type Request, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";

const caller = { identity: "CN=a", subject: "CN=a" };

/** A client of a store whose writes can be held or made to fail. */
function aClient() {
  const base = memoryStore();
  const control = { hold: false, fail: false };
  const held: (() => void)[] = [];
  const writes: (readonly Change[])[] = [];
  const log: Readonly<Record<string, unknown>>[] = [];
  const store: Store = {
    ...base,
    write: async (changes) => {
      writes.push(changes);
      if (control.hold) await new Promise<void>((resolve) => held.push(resolve));
      if (control.fail) throw new Error("no room");
      await base.write(changes);
    },
  };
  const handler = kmipHandler({ store, keyring: testKeyring(), log: (fields) => void log.push(fields) });
  const send = async (requests: readonly Request[], header: readonly Item[] = []) =>
    resultsOf(decode(await handler(encode(requestMessage(requests, { version: 14, header })), caller)));
  const one = async (request: Request) => (await send([request]))[0]?.payload;
  const create = async () => {
    const attributes = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, "Cryptographic Usage Mask": 12 };
    const made = payload(item.enumeration(tag.ObjectType, 2), template(attributes));
    return findItem(await one({ operation: operation.create, payload: made }), tag.UniqueIdentifier)?.value as string;
  };
  const fresh = async (id: string) => {
    const wanted = payload(item.text(tag.UniqueIdentifier, id), item.text(tag.AttributeName, "Fresh"));
    const told = await one({ operation: operation.getAttributes, payload: wanted });
    return findItem(told, tag.AttributeValue)?.value;
  };
  const letGo = () => {
    control.hold = false;
    for (const resolve of held.splice(0)) resolve();
  };
  return { base, control, writes, log, send, one, create, fresh, letGo };
}

const get = (id: string): Request => ({
  operation: operation.get,
  payload: payload(item.text(tag.UniqueIdentifier, id)),
});
const locateFresh: Request = { operation: operation.locate, payload: payload(attributeItem("Fresh", true)) };

async function storedFresh(client: ReturnType<typeof aClient>, id: string): Promise<unknown> {
  return (await client.base.object(id))?.attributes.get("Fresh")?.[0];
}

test("a Get does not wait until it is written that the object is no longer fresh, and this node tells it at once", async () => {
  const client = aClient();
  const id = await client.create();
  assert.equal(await client.fresh(id), true);
  client.control.hold = true;
  assert.notEqual(await client.one(get(id)), undefined);
  assert.equal(await storedFresh(client, id), true);
  assert.equal(await client.fresh(id), false);
  client.letGo();
  await turn();
  assert.equal(await storedFresh(client, id), false);
  assert.equal(await client.fresh(id), false);
});

test("a search for fresh objects waits until it is written, and does not find what was served", async () => {
  const client = aClient();
  const [served, other] = [await client.create(), await client.create()];
  client.control.hold = true;
  await client.one(get(served));
  const found = client.one(locateFresh);
  await turn();
  client.letGo();
  const ids = childrenOf(await found, tag.UniqueIdentifier);
  assert.deepEqual(
    ids.map(({ value }) => value),
    [other],
  );
});

test("what is served while a write is under way goes into the next one together, each object once", async () => {
  const client = aClient();
  const ids = [await client.create(), await client.create(), await client.create()];
  const before = client.writes.length;
  client.control.hold = true;
  for (const id of [...ids, ...ids]) await client.one(get(id));
  client.letGo();
  await turn();
  await turn();
  assert.deepEqual(
    client.writes.slice(before).map((changes) => changes.map(({ id }) => id)),
    [ids.slice(0, 1), ids.slice(1)],
  );
});

test("what cannot be written is fresh again, and the log says so; the next Get tries it once more", async () => {
  const client = aClient();
  const id = await client.create();
  client.control.fail = true;
  assert.notEqual(await client.one(get(id)), undefined);
  await turn();
  assert.equal(await client.fresh(id), true);
  assert.deepEqual(
    client.log.map(({ event }) => event),
    ["fresh-not-recorded"],
  );
  client.control.fail = false;
  await client.one(get(id));
  await turn();
  assert.equal(await storedFresh(client, id), false);
});

test("an object that a batch asked for that is undone is not handed out by it, and stays fresh", async () => {
  const client = aClient();
  const id = await client.create();
  const undo = [item.enumeration(tag.BatchErrorContinuationOption, 3)];
  const absent = "00000000-0000-4000-8000-000000000000";
  const results = await client.send([get(id), get(absent)], undo);
  assert.deepEqual(
    results.map(({ success }) => success),
    [false, false],
  );
  assert.equal(findItem(results[0]?.payload, tag.KeyMaterial), undefined);
  await turn();
  assert.equal(await storedFresh(client, id), true);
  await client.send([get(id)], undo);
  assert.equal(await storedFresh(client, id), false);
});
