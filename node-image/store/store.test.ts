import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { type Change, fact, type Json } from "../objects/types.ts";
import { testKeyring } from "../testing/keyring.ts";
import { aCreate, until } from "../testing/mesh.ts";
import { startPostgres, type TestPostgres } from "../testing/postgres.ts";
import { aheadMaxMs } from "./clock.ts";
import { StoreError } from "./error.ts";
import { envelope } from "./operation.ts";
import { openStore } from "./store.ts";
import type { NodeStore, Operation, StoreOptions } from "./types.ts";

const keyring = testKeyring();
let postgres: TestPostgres;
let databases = 0;
// Four nodes, each a database of one PostgreSQL.
let nodes: [NodeStore, NodeStore, NodeStore, NodeStore];

before(async () => {
  postgres = await startPostgres();
  nodes = [await openStore(aPlace()), await openStore(aPlace()), await openStore(aPlace()), await openStore(aPlace())];
});
after(async () => {
  for (const node of nodes ?? []) await node.close();
  await postgres?.stop();
});

/** Options for a store in a database of its own. */
function aPlace(options: Partial<StoreOptions> = {}): StoreOptions {
  const { socketDirectory, port } = postgres;
  databases += 1;
  const defaults = { socketDirectory, port, database: `node${databases}`, keyring, nowMs: () => Date.now() };
  return { ...defaults, log: () => undefined, ...options };
}

async function operationsOf(store: NodeStore, origin = store.incarnation): Promise<Operation[]> {
  const rows = await store.query("select * from keyfleet.ops where origin = $1 order by seq", [origin]);
  return rows.map((row) => ({ ...row, seq: Number(row.seq), hlc: BigInt(row.hlc as string) }) as Operation);
}

/** Everything that two nodes must have in common. */
async function stateOf(store: NodeStore): Promise<unknown> {
  return [
    await store.query("select * from keyfleet.objects order by id"),
    await store.query("select * from keyfleet.ops order by origin, seq"),
  ];
}

function anOperation(change: Partial<Operation> = {}): Operation {
  const unsigned = {
    origin: randomUUID(),
    seq: 1,
    hlc: BigInt(Date.now()) << 16n,
    kind: "change",
    object: randomUUID(),
    payload: Buffer.from('{"v":1,"facts":0,"attributes":{}}'),
    ...change,
  };
  return { ...unsigned, mac: change.mac ?? keyring.mac(envelope(unsigned)) };
}

function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof StoreError && error.code === code;
}

test("the same operations in any order make the same state, from several seeds", async () => {
  const done = new Map<NodeStore, number>();
  for (const seed of [1, 2, 3]) {
    const random = seeded(seed);
    const makers = nodes.slice(0, 3);
    const creates = Array.from({ length: 6 }, (_, index) => aCreate(`key ${index}`));
    const logs: Operation[][] = [];
    for (const [index, maker] of makers.entries()) {
      const own = creates.filter((_, at) => at % makers.length === index);
      // A change may reach a node before the create, and even be made there in a test.
      const changes: Change[] = Array.from({ length: 25 }, () => ({
        kind: "change",
        id: creates[random(creates.length)]?.id ?? "",
        facts: 1 << random(random(4) + 1),
        attributes: { [`x-${random(3)}`]: random(5) === 0 ? null : [random(100)] },
      }));
      for (const change of shuffled([...own, ...changes], random)) await maker.write([change]);
      logs.push((await operationsOf(maker)).slice(done.get(maker) ?? 0));
      done.set(maker, maker.status().head);
    }
    for (const node of nodes) {
      const left = logs.filter((log) => log[0]?.origin !== node.incarnation).map((log) => [...log]);
      while (left.some((log) => log.length > 0)) {
        const log = left[random(left.length)] ?? [];
        const batch = log.splice(0, 1 + random(7));
        if (batch.length > 0) assert.equal((await node.ingest(batch)).outcome, "held");
      }
    }
    const [first, ...others] = await Promise.all(nodes.map(stateOf));
    for (const other of others) assert.deepEqual(other, first, `seed ${seed}`);
  }
});

function shuffled<Item>(items: Item[], random: (below: number) => number): Item[] {
  for (let at = items.length - 1; at > 0; at -= 1) {
    const other = random(at + 1);
    [items[at], items[other]] = [items[other] as Item, items[at] as Item];
  }
  return items;
}

test("reads back what was written: object, attributes, facts", async () => {
  const [store] = nodes;
  const create = aCreate("first");
  await store.write([create]);
  const { id, owner, objectType, sealed } = create;
  const attributes = new Map(Object.entries(create.attributes));
  assert.deepEqual(await store.object(id), { id, owner, objectType, facts: 0, attributes, sealed });
  await store.write([
    { kind: "change", id, facts: fact.activated, attributes: { Name: null, "Contact Information": ["me"] } },
  ]);
  const changed = await store.object(id);
  assert.equal(changed?.facts, fact.activated);
  assert.deepEqual(
    changed?.attributes,
    new Map<string, unknown>([
      ["Cryptographic Length", [256]],
      ["Contact Information", ["me"]],
    ]),
  );
  assert.equal(await store.object("no-uuid"), undefined);
});

test("finds by owner, type and instance, newest first", async () => {
  const [store] = nodes;
  const [one, two, foreign] = [aCreate("same"), aCreate("same"), aCreate("same", "CN=other")];
  for (const create of [one, two, foreign, aCreate("different")]) await store.write([create]);
  const named = { Name: { value: "same" } };
  assert.deepEqual(await store.locate({ owner: "CN=app", attributes: named }), [two.id, one.id]);
  assert.deepEqual(await store.locate({ owner: undefined, attributes: named }), [foreign.id, two.id, one.id]);
  assert.deepEqual(await store.locate({ owner: "CN=app", objectType: 3 }), []);
  assert.deepEqual(await store.locate({ owner: "CN=app", attributes: { "Cryptographic Length": 128 } }), []);
  const few = await store.locate({ owner: "CN=app", attributes: { Name: { value: "same" }, "x-none": 1 } }, 1);
  assert.deepEqual(few, []);
  const more = await store.locate({ owner: "CN=app" }, 1);
  assert.deepEqual([more.length, more[1]], [2, two.id], "one more than was asked for says that there are more");
  await store.write([{ kind: "change", id: one.id, facts: fact.destroyed, attributes: {} }]);
  const alive = { owner: "CN=app", attributes: named, withoutFacts: fact.destroyed };
  assert.deepEqual(await store.locate(alive), [two.id], "a destroyed object does not keep its name");
});

test("a change before its create is kept, and seen with the create", async () => {
  const [maker, taker] = nodes;
  const create = aCreate();
  const object = create.id;
  const payload = Buffer.from('{"v":1,"facts":2,"attributes":{"x-a":[1]}}');
  await taker.ingest([anOperation({ object, payload, hlc: BigInt(Date.now() + 1_000) << 16n })]);
  assert.equal(await taker.object(object), undefined);
  assert.ok(!(await taker.locate({ owner: undefined })).includes(object));
  await maker.write([create]);
  await taker.ingest(
    (await operationsOf(maker)).filter(({ seq }) => seq > (taker.vector().get(maker.incarnation) ?? 0)),
  );
  assert.equal((await taker.object(object))?.facts, 2);
  assert.deepEqual((await taker.object(object))?.attributes.get("x-a"), [1]);
});

test("a create meets what a restarted node holds of its object already, and what is written beside it is written", async (t) => {
  const [maker] = nodes;
  const where = aPlace();
  const before = await openStore(where);
  const create = aCreate();
  await before.ingest([
    anOperation({ object: create.id, payload: Buffer.from('{"v":1,"facts":2,"attributes":{"x-a":[1]}}') }),
  ]);
  await before.close();
  const taker = await openStore(where);
  t.after(() => taker.close());
  await maker.write([create]);
  const beside = aCreate();
  const [ingested] = await Promise.all([taker.ingest(await operationsOf(maker)), taker.write([beside])]);
  assert.equal(ingested.position, maker.vector().get(maker.incarnation));
  const merged = await taker.object(create.id);
  assert.deepEqual([merged?.facts, merged?.attributes.get("x-a"), merged?.sealed], [2, [1], create.sealed]);
  assert.deepEqual((await taker.object(beside.id))?.sealed, beside.sealed);
  assert.equal(taker.status().damage, undefined);
});

test("destroyed material is gone for good, even when its create arrives later", async () => {
  const [maker, taker] = nodes;
  const create = aCreate();
  const payload = Buffer.from('{"v":1,"facts":8,"attributes":{}}');
  await taker.ingest([anOperation({ object: create.id, payload })]);
  await maker.write([create]);
  await taker.ingest(
    (await operationsOf(maker)).filter(({ seq }) => seq > (taker.vector().get(maker.incarnation) ?? 0)),
  );
  const object = await taker.object(create.id);
  assert.deepEqual([object?.facts, object?.sealed], [8, undefined]);
});

test("writes that wait for a transaction share the next one, gapless", async () => {
  const [store] = nodes;
  const before = store.status().head;
  await Promise.all(Array.from({ length: 300 }, () => store.write([aCreate()])));
  const [row] = await store.query(
    `select count(*)::int as ops, max(seq)::int as head, count(distinct xmin::text)::int as transactions
     from keyfleet.ops where origin = $1 and seq > $2`,
    [store.incarnation, before],
  );
  assert.deepEqual([row?.ops, row?.head], [300, before + 300]);
  assert.ok((row?.transactions as number) <= 3, `${row?.transactions} transactions`);
});

test("a write that cannot be kept is refused alone", async () => {
  const [store] = nodes;
  const before = store.status().head;
  const bad: readonly [string, Change][] = [
    ["a NUL character", { ...aCreate(), attributes: { Name: ["a\0b"] } }],
    ["half a character", { ...aCreate(), attributes: { Name: ["\ud800"] } }],
    ["an identifier that is no UUID", { ...aCreate(), id: "1" }],
    ["too large", { ...aCreate(), sealed: Buffer.alloc(1024 * 1024) }],
    ["too deep", { ...aCreate(), attributes: { Name: [JSON.parse(`${"[".repeat(50)}${"]".repeat(50)}`)] } }],
  ];
  for (const [sentence, change] of bad) {
    const good = aCreate();
    const outcome = await Promise.allSettled([store.write([good]), store.write([aCreate(), change])]);
    assert.equal(outcome[0].status, "fulfilled", sentence);
    assert.ok(outcome[1].status === "rejected" && hasCode("invalid")(outcome[1].reason), sentence);
  }
  assert.equal(store.status().head, before + bad.length);
});

test("more writes than the queue takes are refused, those in it succeed", async () => {
  const [store] = nodes;
  const before = store.status().head;
  const many = Array.from(
    { length: 6_000 },
    () => ({ kind: "change", id: randomUUID(), facts: 0, attributes: {} }) as const,
  );
  const [first, second] = await Promise.allSettled([store.write(many), store.write(many)]);
  assert.equal(first.status, "fulfilled");
  assert.ok(second.status === "rejected" && hasCode("overloaded")(second.reason));
  assert.equal(store.status().head, before + many.length);
});

test("more bytes than the queue takes are refused, though they are few writes; those in it succeed", async () => {
  const [store] = nodes;
  const sealed = Buffer.alloc(700_000);
  const large = () => store.write(Array.from({ length: 20 }, () => ({ ...aCreate(), sealed }) as Change));
  const outcomes = await Promise.allSettled(Array.from({ length: 6 }, large));
  const refused = outcomes.filter(({ status }) => status === "rejected");
  assert.ok(refused.length >= 1 && refused.length <= 3, `${refused.length} refused`);
  for (const each of refused) assert.ok(each.status === "rejected" && hasCode("overloaded")(each.reason));
});

test("without a master key it knows no objects", async (t) => {
  const { keyring: later, ...without } = aPlace();
  assert.ok(later);
  const store = await openStore(without);
  t.after(() => store.close());
  await assert.rejects(store.write([aCreate()]), hasCode("noMasterKey"));
  await assert.rejects(store.ingest([anOperation()]), hasCode("noMasterKey"));
  await assert.rejects(store.object(randomUUID()), hasCode("noMasterKey"));
  await store.setKeyring(later);
  await store.write([aCreate()]);
});

test("a master key that is replaced while the store connects again is the one that it goes on with", async (t) => {
  const events: unknown[] = [];
  // With it the root is opened; at that moment another one comes, and this one is closed from then on.
  let replaced: Promise<void> | undefined;
  const first = {
    ...keyring,
    get closed() {
      return replaced !== undefined;
    },
    unseal: (blob: Buffer, context: Buffer) => {
      if (events.includes("databaseLost")) replaced ??= store.setKeyring(keyring);
      return keyring.unseal(blob, context);
    },
  };
  const store = await openStore(aPlace({ keyring: first, log: ({ event }) => void events.push(event) }));
  t.after(() => store.close());
  const create = aCreate();
  await store.write([create]);
  await store.query(
    `select count(pg_terminate_backend(pid)) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid()`,
  );
  await until("it is back", () => events.includes("databaseBack"));
  assert.notEqual(replaced, undefined);
  await replaced;
  assert.equal((await store.object(create.id))?.id, create.id);
  await store.write([aCreate()]);
});

test("takes in what joins up with the log and nothing else", async () => {
  const [store] = nodes;
  const origin = randomUUID();
  const log = [1, 2, 3, 4, 5].map((seq) => anOperation({ origin, seq }));
  assert.deepEqual(await store.ingest(log.slice(0, 2)), { outcome: "held", position: 2 });
  assert.deepEqual(await store.ingest(log.slice(3)), { outcome: "held", position: 2 }, "a hole");
  assert.deepEqual(await store.ingest(log), { outcome: "held", position: 5 }, "an overlap");
  assert.deepEqual(await store.ingest(log), { outcome: "held", position: 5 }, "once more");
  assert.equal(store.vector().get(origin), 5);
});

test("refuses operations that are forged, fenced, from far in the future, or its own", async () => {
  const [store] = nodes;
  const origin = randomUUID();
  const log = [1, 2, 3, 4].map((seq) => anOperation({ origin, seq }));
  const forged = [log[0], { ...log[1], payload: Buffer.from('{"v":1,"facts":1,"attributes":{}}') }, log[2]];
  const refused = { outcome: "refused", position: 1, seq: 2 } as const;
  assert.deepEqual(await store.ingest(forged as Operation[]), { ...refused, reason: "badMac" });
  store.setFences(new Map([[origin, 1]]));
  assert.deepEqual(await store.ingest(log), { ...refused, reason: "fenced" });
  store.setFences(new Map([[origin, 2]]));
  const raised = { outcome: "refused", position: 2, seq: 3, reason: "fenced" } as const;
  assert.deepEqual(await store.ingest(log), raised, "up to an end that was raised");
  store.setFences(new Map([[origin, 10]]));
  const future = anOperation({ origin, seq: 3, hlc: BigInt(Date.now() + aheadMaxMs + 60_000) << 16n });
  assert.deepEqual(await store.ingest([future]), { ...raised, reason: "clockTooFarAhead" });
  const seq = store.status().head + 1;
  const own = await store.ingest([anOperation({ origin: store.incarnation, seq })]);
  assert.deepEqual(own, { outcome: "refused", position: seq - 1, seq, reason: "malformed" });
  assert.deepEqual(await store.ingest(log), { outcome: "held", position: 4 }, "the true ones");
});

test("an end of a log is never lowered, outlives the process, and is believed of a peer only when a member has said it", async (t) => {
  const [other] = nodes;
  const place = aPlace();
  const [one, two, three] = [randomUUID(), randomUUID(), randomUUID()];
  const first = await openStore(place);
  first.setFences(new Map([[one, 3]]));
  first.setFences(new Map([[one, 2]]));
  first.setFences(new Map([[two, 1]]));
  const said = async (store: NodeStore) =>
    (await store.query("select value from keyfleet.settings where key = 'fences'"))[0]?.value;
  await first.close();
  const store = await openStore(place);
  t.after(() => store.close());
  const ends = async (at: NodeStore, origin: string) => {
    const log = [1, 2, 3, 4].map((seq) => anOperation({ origin, seq }));
    const ingested = await at.ingest(log);
    return [ingested.outcome, ingested.position];
  };
  assert.deepEqual(await ends(store, one), ["refused", 3]);
  assert.deepEqual(await ends(store, two), ["refused", 1]);
  const fences = (await said(store)) as [string, number, string][];
  other.takeFences([[three, 2, fences[0]?.[2]], [one, 4, fences[0]?.[2]], "nonsense", [two, 1]]);
  other.takeFences(fences);
  assert.deepEqual(await ends(other, one), ["refused", 3], "what the peer proved, and no more");
  assert.deepEqual(await ends(other, two), ["refused", 1]);
  assert.deepEqual(await ends(other, three), ["held", 4], "an end that nobody has said");
});

for (const [sentence, laterKey] of [
  ["at its start", false],
  ["when its master key is there", true],
] as const)
  test(`${sentence} a node believes no end of a log that somebody has written into its database, and all that members have said`, async (t) => {
    const place = aPlace();
    const [ended, forged, unsigned, torn, longer] = Array.from({ length: 5 }, () => randomUUID()) as [
      string,
      ...string[],
    ];
    const first = await openStore(place);
    first.setFences(new Map([[ended, 2]]));
    await first.close();
    const meddler = await openStore(place);
    const said = (await meddler.setting("fences")) as [string, number, string][];
    const mac = said[0]?.[2] ?? "";
    const written = [
      [forged, 2, mac],
      [unsigned, 2, ""],
      [torn, 2, mac.slice(0, 9)],
      [longer, 2],
      [ended, 1, mac],
      ...said,
    ];
    await meddler.setSetting("fences", written as Json);
    await meddler.close();
    const { keyring: _, ...noKey } = place;
    const store = await openStore(laterKey ? noKey : place);
    t.after(() => store.close());
    if (laterKey) await store.setKeyring(keyring);
    for (const origin of [forged, unsigned, torn, longer])
      assert.equal(
        (await store.ingest([1, 2, 3].map((seq) => anOperation({ origin: String(origin), seq })))).position,
        3,
      );
    const ofEnded = await store.ingest([1, 2, 3].map((seq) => anOperation({ origin: ended, seq })));
    assert.deepEqual(ofEnded, { outcome: "refused", position: 2, seq: 3, reason: "fenced" });
    store.setFences(new Map());
    await until("what nobody has said is written over", async () =>
      isDeepStrictEqual(await store.setting("fences"), said),
    );
  });

test("what a node took in before it heard of the end of a log raises that end, for its peers too", async () => {
  const [one, other] = nodes;
  const origin = randomUUID();
  const log = [1, 2, 3, 4].map((seq) => anOperation({ origin, seq }));
  await one.ingest(log.slice(0, 3));
  other.setFences(new Map([[origin, 2]]));
  one.setFences(new Map([[origin, 2]]));
  assert.deepEqual(await one.ingest(log), { outcome: "refused", position: 3, seq: 4, reason: "fenced" });
  other.takeFences(await saidFences(one, origin));
  assert.deepEqual(await other.ingest(log), { outcome: "refused", position: 3, seq: 4, reason: "fenced" });
});

/** What a store says of the end of that log, once that is written. */
async function saidFences(store: NodeStore, origin: string): Promise<unknown> {
  for (let looks = 1_000; looks > 0; looks -= 1) {
    const [row] = await store.query("select value from keyfleet.settings where key = 'fences'");
    const said = (row?.value ?? []) as [string, number, string][];
    if (said.some(([one, end]) => one === origin && end === 3)) return said;
  }
  assert.fail("the end is not saved");
}

test("a write that waited while a snapshot began is refused: there is no log to append it to", async (t) => {
  const store = await openStore(aPlace());
  t.after(() => store.close());
  await store.write([aCreate()]);
  const [row] = await store.query("select sealed from keyfleet.root");
  const rows = await store.query("select origin, seq, hlc, mac from keyfleet.vector");
  const heads = rows.map(({ origin, seq, hlc, mac }) => {
    return { origin: String(origin), seq: Number(seq), hlc: BigInt(String(hlc)), mac: mac as Buffer };
  });
  const begun = store.intake.begin("CN=dc2-a,OU=dc2,O=bank", { root: row?.sealed as Buffer, heads });
  const late = assert.rejects(store.write([aCreate()]), hasCode("unavailable"));
  const other = assert.rejects(store.ingest([anOperation()]), hasCode("unavailable"));
  await begun;
  await Promise.all([late, other]);
  assert.deepEqual(await store.query("select from keyfleet.ops"), []);
});

test("what was said in the name of a log that has ended is not written into the next one", async (t) => {
  const store = await openStore(aPlace());
  t.after(() => store.close());
  const create = aCreate();
  await store.write([create]);
  const before = store.incarnation;
  const use = (incarnation: string) => {
    const attributes = { [`.usage ${randomUUID()} ${incarnation}`]: [1] };
    return store.write([{ kind: "change", id: create.id, facts: 0, attributes }]);
  };
  await use(before);
  assert.equal(await store.renew({ former: before, head: store.status().head, why: "setBack" }), true);
  await assert.rejects(use(before), hasCode("unavailable"));
  await use(store.incarnation);
  assert.deepEqual(store.vector().get(before), 2);
  assert.deepEqual(store.vector().get(store.incarnation), 1);
});

test("keeps what it does not understand, unapplied, and goes on", async () => {
  const [store] = nodes;
  const origin = randomUUID();
  await store.ingest([
    anOperation({ origin, seq: 1, kind: "grant" }),
    anOperation({ origin, seq: 2, payload: Buffer.from('{"v":2,"facts":1,"attributes":{}}') }),
    anOperation({ origin, seq: 3, payload: Buffer.from("\0no json") }),
    anOperation({ origin, seq: 4 }),
  ]);
  const rows = await store.query("select seq::int from keyfleet.kept where origin = $1 order by seq", [origin]);
  assert.deepEqual(rows, [{ seq: 1 }, { seq: 2 }, { seq: 3 }]);
  assert.equal(store.vector().get(origin), 4);
});

test("applies at the next start what it has learned to understand", async () => {
  const where = aPlace();
  const create = aCreate();
  const store = await openStore(where);
  await store.write([create]);
  // As older software would have left it.
  await store.query("insert into keyfleet.kept select * from keyfleet.ops");
  await store.query("delete from keyfleet.objects");
  await store.query("delete from keyfleet.root");
  await store.close();
  const upgraded = await openStore(where);
  assert.equal((await upgraded.object(create.id))?.owner, create.owner);
  await upgraded.close();
});

test("its clock follows a peer that runs ahead, and says by how much", async (t) => {
  const store = await openStore(aPlace({ nowMs: () => 1_000_000 }));
  t.after(() => store.close());
  await store.ingest([anOperation({ hlc: 1_060_000n << 16n })]);
  await store.write([aCreate()]);
  const [own] = await operationsOf(store);
  assert.ok((own?.hlc ?? 0n) > 1_060_000n << 16n);
  assert.equal(store.status().clockAheadMs, 60_000);
});

test("keeps identity, settings and wrapped master keys over a restart", async () => {
  const where = aPlace();
  const first = await openStore(where);
  const rows = [1, 2].map((version) => ({ version, sealed: randomBytes(40) }));
  await first.saveMasterKeys(rows);
  await first.setSetting("clusterId", "c-1");
  await first.write([aCreate()]);
  await first.close();
  const second = await openStore(where);
  assert.equal(second.incarnation, first.incarnation);
  assert.deepEqual(await second.masterKeys(), rows);
  assert.deepEqual([await second.setting("clusterId"), await second.setting("other")], ["c-1", undefined]);
  assert.equal(second.status().head, 1);
  await second.close();
});

const gates: readonly (readonly [string, boolean, readonly number[]])[] = [
  ["in one transaction when nobody is waited for", false, [64]],
  ["in two transactions when sites are waited for, so that those take in the first half meanwhile", true, [32, 64]],
];
for (const [sentence, holds, heads] of gates)
  test(`what is written together is written ${sentence}`, async (t) => {
    const store = await openStore(aPlace());
    t.after(() => store.close());
    const waited = new Set<number>();
    const last = Promise.withResolvers<void>();
    const wait = (head: number) => {
      waited.add(head);
      if (head === 64) last.resolve();
      return last.promise;
    };
    store.setGate({ holds, wait });
    await Promise.all(Array.from({ length: 64 }, () => store.write([aCreate()])));
    assert.deepEqual([...waited], heads);
  });

test("only one key server writes to a database", async (t) => {
  const where = aPlace();
  const first = await openStore(where);
  t.after(() => first.close());
  const signal = AbortSignal.timeout(300);
  await assert.rejects(openStore({ ...where, signal }));
});

test("kill -9 of PostgreSQL under writes: what was acknowledged is there, and writing goes on", async () => {
  const [store] = nodes;
  const acknowledged: string[] = [];
  let stop = false;
  const lanes = Array.from({ length: 8 }, async () => {
    while (!stop) {
      const create = aCreate();
      try {
        await store.write([create]);
        acknowledged.push(create.id);
      } catch (error) {
        assert.ok(hasCode("unavailable")(error));
        await delay(10);
      }
    }
  });
  await until("some writes are acknowledged", () => acknowledged.length > 50);
  await postgres.kill();
  const before = acknowledged.length;
  await assert.rejects(store.write([aCreate()]), hasCode("unavailable"));
  assert.equal(store.status().available, false);
  await postgres.start();
  await until("writes go on", () => acknowledged.length > before + 50);
  stop = true;
  await Promise.all(lanes);
  assert.equal((await store.objects(acknowledged)).length, acknowledged.length);
  const [row] = await store.query(
    "select count(*)::int as ops, max(seq)::int as head from keyfleet.ops where origin = $1",
    [store.incarnation],
  );
  assert.equal(row?.ops, row?.head);
});
