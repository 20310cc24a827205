import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { attribute } from "../kmip/attributes.ts";
import { tag } from "../kmip/tags.ts";
import type { Json } from "../objects/types.ts";
import { openStore } from "../store/store.ts";
import type { NodeStore, Operation } from "../store/types.ts";
import { attributeItem, childrenOf, findItem, item, payload, template } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { startPostgres, type TestPostgres } from "../testing/postgres.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";
import { UsageKeeper } from "./usage-keeper.ts";

/** Nodes that hear each other only when the test says so. */
const keyring = testKeyring();
const reason = { notFound: 1, denied: 12 } as const;
let postgres: TestPostgres;
let nodes: readonly [TestNode, TestNode, TestNode];

interface TestNode {
  readonly store: NodeStore;
  /** Ends the wait of everybody who waits for other nodes' units. */
  giveUp(): void;
  call(who: string, number: number, ...children: Item[]): Promise<Item>;
}

before(async () => {
  postgres = await startPostgres();
  nodes = [await aNode("one"), await aNode("two"), await aNode("three")];
});
after(async () => {
  for (const { store } of nodes ?? []) await store.close();
  await postgres?.stop();
});

async function aNode(database: string): Promise<TestNode> {
  const { socketDirectory, port } = postgres;
  const log = () => undefined;
  const store = await openStore({ socketDirectory, port, database, keyring, nowMs: () => Date.now(), log });
  let patience = Promise.withResolvers<void>();
  const usage = new UsageKeeper({ store, log, delay: () => patience.promise });
  const handler = kmipHandler({ store, keyring, log, usage, firstAdministrators: () => ["CN=admin"] });
  return {
    store,
    giveUp: () => {
      patience.resolve();
      patience = Promise.withResolvers();
    },
    call: async (who, number, ...children) => {
      const caller = { identity: `CN=${who},issuer(CN=ca)`, subject: `CN=${who}` };
      const message = requestMessage([{ operation: number, payload: payload(...children) }], { version: 14 });
      const [result] = resultsOf(decode(await handler(encode(message), caller)));
      if (result?.success === true && result.payload !== undefined) return result.payload;
      throw Object.assign(new Error(result?.message), { reason: result?.reason });
    },
  };
}

/** Gives every node all operations of the others. */
async function meet(): Promise<void> {
  for (const from of nodes) {
    const rows = await from.store.query("select * from keyfleet.ops where origin = $1 order by seq", [
      from.store.incarnation,
    ]);
    const log = rows.map((row) => ({ ...row, seq: Number(row.seq), hlc: BigInt(row.hlc as string) }) as Operation);
    for (const to of nodes) {
      if (to === from) continue;
      const held = to.store.vector().get(from.store.incarnation) ?? 0;
      const news = log.filter(({ seq }) => seq > held);
      if (news.length > 0) assert.equal((await to.store.ingest(news)).outcome, "held");
    }
  }
}

const id = (value: string) => item.text(tag.UniqueIdentifier, value);
const name = (value: string): Json => ({ nameValue: value, nameType: 1 });

async function create(node: TestNode, attributes: Readonly<Record<string, Json>> = {}): Promise<string> {
  const made = {
    "Cryptographic Algorithm": 3,
    "Cryptographic Length": 256,
    "Cryptographic Usage Mask": 12,
    ...attributes,
  };
  const answer = await node.call("app", operation.create, item.enumeration(tag.ObjectType, 2), template(made));
  return String(findItem(answer, tag.UniqueIdentifier)?.value);
}

async function nameOf(node: TestNode, object: string): Promise<string> {
  const answer = await node.call("app", operation.getAttributes, id(object), item.text(tag.AttributeName, "Name"));
  const [first] = childrenOf(answer, tag.Attribute);
  const { value } = attribute.read(first as Item, { version: 14, placeholders: { last: undefined } });
  return (value as { nameValue: string }).nameValue;
}

async function named(node: TestNode, value: string): Promise<string[]> {
  const answer = await node.call("app", operation.locate, attributeItem("Name", name(value)));
  return childrenOf(answer, tag.UniqueIdentifier).map(({ value: found }) => String(found));
}

async function refused(promise: Promise<unknown>, expected: number, message: RegExp): Promise<void> {
  await assert.rejects(promise, (error: Error & { reason?: number }) => {
    assert.equal(error.reason, expected, error.message);
    assert.match(error.message, message);
    return true;
  });
}

test("a name that several nodes gave at once is one object's; the others have a suffix, the same on every node", async () => {
  const made = [
    await create(nodes[0], { Name: name("n") }),
    await create(nodes[1], { Name: name("n") }),
    await create(nodes[2], { Name: name("n") }),
  ];
  for (const [at, node] of nodes.entries())
    assert.deepEqual(await named(node, "n"), [made[at]], "alone it has its name");
  await meet();
  const wanted = [made[0], made[1], made[2]].map((object, at) => (at === 0 ? "n" : `n~${object?.slice(-12)}`));
  for (const node of nodes) {
    assert.deepEqual(await Promise.all(made.map((object) => nameOf(node, object))), wanted);
    for (const [at, shown] of wanted.entries()) assert.deepEqual(await named(node, shown), [made[at]], shown);
  }
  await assert.rejects(create(nodes[1], { Name: name("n") }), /Another object has this Name/);
});

test("the name of a destroyed object goes to the next claimant; another name does not cost the first its claim", async () => {
  const first = await create(nodes[0], { Name: name("m") });
  const second = await create(nodes[1], { Name: name("m") });
  await meet();
  await nodes[2].call("app", operation.addAttribute, id(first), attributeItem("Name", name("m2")));
  await meet();
  for (const node of nodes) assert.deepEqual(await named(node, "m"), [first]);
  await nodes[0].call("app", operation.destroy, id(first));
  await meet();
  for (const node of nodes) assert.deepEqual([await named(node, "m"), await nameOf(node, second)], [[second], "m"]);
});

test("other owners' names are never in the way", async () => {
  await create(nodes[0], { Name: name("mine") });
  const made = {
    "Cryptographic Algorithm": 3,
    "Cryptographic Length": 256,
    "Cryptographic Usage Mask": 12,
    Name: name("mine"),
  };
  await nodes[0].call("other", operation.create, item.enumeration(tag.ObjectType, 2), template(made));
});

test("a record that two nodes make at once is one, with what both have said", async () => {
  const user = id("keyfleet:user:CN=app,issuer(CN=ca)");
  const member = (group: string) => attributeItem(`x-keyfleet-group-${group}`, { type: 7, value: "yes" });
  await nodes[0].call("admin", operation.addAttribute, user, member("a"));
  await nodes[1].call("admin", operation.addAttribute, user, member("b"));
  await meet();
  for (const node of nodes) {
    const answer = await node.call("admin", operation.getAttributeList, user);
    const names = childrenOf(answer, tag.AttributeName).map(({ value }) => value);
    assert.deepEqual(names, ["Unique Identifier", "x-keyfleet-group-a", "x-keyfleet-group-b"]);
  }
});

test("a right that one node withdraws while another changes its end is withdrawn everywhere", async () => {
  const key = await create(nodes[0]);
  const grant = "x-keyfleet-grant-user:CN=reader,issuer(CN=ca)";
  const value = (text: string) => attributeItem(grant, { type: 7, value: text });
  await nodes[0].call("app", operation.addAttribute, id(key), value("Get"));
  await meet();
  await nodes[1].call("reader", operation.get, id(key));
  await nodes[0].call("app", operation.deleteAttribute, id(key), item.text(tag.AttributeName, grant));
  await nodes[1].call("app", operation.modifyAttribute, id(key), value("Get until 2099-01-01T00:00:00Z"));
  await meet();
  for (const node of nodes)
    await refused(node.call("reader", operation.get, id(key)), reason.notFound, /There is no object/);
});

const limits = (total: number): Readonly<Record<string, Json>> => ({
  "Usage Limits": { usageLimitsTotal: total, usageLimitsUnit: 2 },
  "Activation Date": 1,
});
const allocate = (node: TestNode, object: string, units: number) =>
  node.call("app", 0x11, id(object), item.longInteger(tag.UsageLimitsCount, BigInt(units)));

async function leftOf(node: TestNode, object: string): Promise<unknown> {
  const answer = await node.call(
    "app",
    operation.getAttributes,
    id(object),
    item.text(tag.AttributeName, "Usage Limits"),
  );
  return findItem(answer, tag.UsageLimitsCount)?.value;
}

test("uses are counted over the fleet: a node asks others for what they hold, and none gives what it does not have", async () => {
  const key = await create(nodes[0], limits(10));
  await meet();
  await allocate(nodes[0], key, 2);
  const asked = allocate(nodes[1], key, 5);
  let done = false;
  const ended = asked.finally(() => {
    done = true;
  });
  while (!done) await meet();
  await ended;
  await meet();
  for (const node of nodes) assert.equal(await leftOf(node, key), 3n);
  for (const node of nodes) await refused(allocate(node, key, 4), reason.denied, /do not allow this any more/);
});

test("a node that hears nobody says so, and nothing is lost by its asking", async () => {
  const key = await create(nodes[0], limits(3));
  await meet();
  const asked = allocate(nodes[1], key, 1);
  const waits = refused(asked, reason.denied, /held by other nodes/);
  while ((await nodes[1].store.object(key))?.attributes.size === (await nodes[0].store.object(key))?.attributes.size);
  nodes[1].giveUp();
  await waits;
  await allocate(nodes[0], key, 2);
  await meet();
  await meet();
  let done = false;
  const last = allocate(nodes[1], key, 1).finally(() => {
    done = true;
  });
  while (!done) await meet();
  await last;
  await meet();
  for (const node of nodes) assert.equal(await leftOf(node, key), 0n);
});

test("uses at once on one node share writes, and never exceed the limit", async () => {
  const key = await create(nodes[0], limits(50));
  const before = nodes[0].store.status().head;
  const outcomes = await Promise.allSettled(Array.from({ length: 80 }, () => allocate(nodes[0], key, 1)));
  assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 50);
  assert.equal(await leftOf(nodes[0], key), 0n);
  assert.ok(nodes[0].store.status().head - before < 50, "writes are shared");
});

test("limits change until the first use, and not afterwards", async () => {
  const key = await create(nodes[0], limits(5));
  const limit = (total: number) => attributeItem("Usage Limits", { usageLimitsTotal: total, usageLimitsUnit: 2 });
  await nodes[0].call("app", operation.modifyAttribute, id(key), limit(7));
  await nodes[0].call("app", operation.modifyAttribute, id(key), limit(2));
  assert.equal(await leftOf(nodes[0], key), 2n);
  await meet();
  await refused(
    nodes[1].call("app", operation.modifyAttribute, id(key), limit(1)),
    reason.denied,
    /too few of the units/,
  );
  await allocate(nodes[0], key, 1);
  await refused(nodes[0].call("app", operation.modifyAttribute, id(key), limit(9)), reason.denied, /has been used/);
  await refused(
    nodes[0].call("app", operation.deleteAttribute, id(key), item.text(tag.AttributeName, "Usage Limits")),
    reason.denied,
    /has been used/,
  );
});
