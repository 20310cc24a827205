import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import type { Change } from "../objects/types.ts";
import { testKeyring } from "../testing/keyring.ts";
import { aCreate, until } from "../testing/mesh.ts";
import { startPostgres, type TestPostgres } from "../testing/postgres.ts";
import { StoreError } from "./error.ts";
import { openStore } from "./store.ts";
import type { NodeStore, StoreOptions } from "./types.ts";
import { verifyStore } from "./verify.ts";

const keyring = testKeyring();
let postgres: TestPostgres;
let databases = 0;
let place: StoreOptions & { readonly database: string };
let store: NodeStore;
let ids: [string, string, string];
const events: string[] = [];

before(async () => {
  postgres = await startPostgres();
});
after(async () => {
  await store?.close();
  await postgres?.stop();
});

// A store of three keys, the first activated, with a change of a thing that has not been created.
beforeEach(async () => {
  await store?.close();
  databases += 1;
  events.length = 0;
  const { socketDirectory, port } = postgres;
  const log = (fields: { readonly event?: unknown }) => events.push(String(fields.event));
  place = { socketDirectory, port, database: `node${databases}`, keyring, nowMs: () => Date.now(), log };
  store = await openStore(place);
  await store.setSetting("clusterId", "c");
  await store.saveMasterKeys([{ version: 1, sealed: Buffer.from("x") }]);
  const creates = [aCreate("one"), aCreate("two"), aCreate("three")];
  ids = creates.map(({ id }) => id) as typeof ids;
  await store.write(creates);
  await store.write([{ kind: "change", id: ids[0], facts: 1, attributes: { "x-note": ["secret"] } }]);
});

const loseConnections = () =>
  store.query("select count(pg_terminate_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid()");
const reconnected = async () => {
  const times = () => events.filter((event) => event === "databaseBack").length;
  const before = times();
  await loseConnections();
  await until("the database is back", () => times() > before);
};
const damaged = (error: unknown) => error instanceof StoreError && error.code === "damaged";
const verify = () => verifyStore({ ...place, port: postgres.port }, async () => keyring);
const reopened = async () => {
  await store.close();
  store = await openStore(place);
};

test("a store as it was written: every object is served, nothing is found", async () => {
  for (const id of ids) assert.equal((await store.object(id))?.id, id);
  const found = await verify();
  assert.deepEqual([found.findings, found.whole, found.objects, found.operations], [[], true, 3, 4]);
  await reopened();
  assert.deepEqual((await store.audit()).findings, []);
  assert.equal(store.status().damage, undefined);
});

test("a store in which nothing was ever written is whole, and takes its first write after the audit", async () => {
  const empty = await openStore({ ...place, database: `${place.database}_empty` });
  try {
    const { findings, whole } = await empty.audit();
    assert.deepEqual([findings, whole, empty.status().damage], [[], true, undefined]);
    await empty.write([aCreate()]);
    assert.deepEqual((await empty.audit()).findings, []);
  } finally {
    await empty.close();
  }
});

test("an audit beside writers finds nothing wrong, whatever is created, changed and destroyed behind it and before it", async () => {
  const many = Array.from({ length: 450 }, (_, at) => aCreate(`many ${at}`));
  await store.write(many);
  const change = (at: number, facts: number): Change => ({
    kind: "change",
    id: many[at % many.length]?.id as string,
    facts,
    attributes: { "x-note": [String(at)] },
  });
  let over = false;
  const writing = (async () => {
    for (let at = 0; !over; at += 7)
      await store.write([aCreate(`later ${at}`), change(at, 1), change(at * 31 + 1, at % 3 === 0 ? 8 : 1)]);
  })();
  for (let audits = 0; audits < 3; audits += 1) {
    const { findings, whole, objects } = await store.audit();
    assert.deepEqual([findings, whole], [[], true]);
    assert.ok(objects >= many.length);
  }
  over = true;
  await writing;
  assert.deepEqual((await verify()).findings, []);
});

test("an audit during which the database was read anew comes to nothing, and stops nobody", async () => {
  await store.write(Array.from({ length: 450 }, (_, at) => aCreate(`many ${at}`)));
  const auditing = assert.rejects(store.audit(), { code: "unavailable" });
  await loseConnections();
  await auditing;
  assert.equal(store.status().damage, undefined);
  await until("it writes again", () => store.status().available);
  assert.deepEqual((await store.audit()).findings, []);
});

const rows: readonly (readonly [string, string])[] = [
  ["another state", "update keyfleet.objects set state = replace(state, 'CN=app', 'CN=bad') where id = $1"],
  ["a fact taken away", `update keyfleet.objects set state = replace(state, '"facts":1', '"facts":0') where id = $1`],
  ["a text that is no state", "update keyfleet.objects set state = '{}' where id = $1"],
  ["another MAC", "update keyfleet.objects set mac = sha256(mac) where id = $1"],
  ["an empty MAC", "update keyfleet.objects set mac = '' where id = $1"],
  ["other material", "update keyfleet.objects set sealed = sha256(sealed) where id = $1"],
  ["no material", "update keyfleet.objects set sealed = null where id = $1"],
  [
    "another's material",
    "update keyfleet.objects set sealed = (select sealed from keyfleet.objects where id = $2) where id = $1",
  ],
  [
    "another's whole row",
    `update keyfleet.objects o set state = b.state, mac = b.mac, sealed = b.sealed
       from keyfleet.objects b where o.id = $1 and b.id = $2`,
  ],
];

for (const [sentence, statement] of rows) {
  test(`a row with ${sentence} is not served, is reported, and all others are served`, async () => {
    const values = statement.includes("$2") ? [ids[0], ids[1]] : [ids[0]];
    await store.query(statement, values);
    await assert.rejects(store.object(ids[0]), damaged);
    assert.deepEqual(
      (await store.objects(ids)).map(({ id }) => id),
      ids.slice(1),
    );
    for (const times of [1, 20]) {
      const described = await Array.fromAsync(store.descriptions(Array.from({ length: times }, () => ids).flat()));
      assert.deepEqual(
        new Set(described.flat().map(({ id }) => id)),
        new Set(ids.slice(1)),
        `${times * 3} descriptions`,
      );
    }
    assert.equal(store.status().damagedObjects, 1);
    assert.ok(events.includes("objectDamaged"));
    assert.ok((await verify()).findings.some((finding) => finding.includes(ids[0])));
    await reopened();
    await assert.rejects(store.object(ids[0]), damaged, "after a restart");
    // A change of it is kept, and whatever else comes is merged.
    const next = aCreate("next");
    await store.write([{ kind: "change", id: ids[0], facts: 8, attributes: {} }, next]);
    assert.equal((await store.object(next.id))?.id, next.id);
    // Material alone is needed for nothing that the change does.
    assert.equal(store.status().unappliedOperations, statement.includes("set sealed") ? 0 : 1);
  });
}

test("search columns that do not repeat the row find nothing wrong, and verify names them", async () => {
  await store.query(
    "update keyfleet.objects set names = (select names from keyfleet.objects where id = $2) where id = $1",
    [ids[0], ids[1]],
  );
  assert.deepEqual(await store.locate({ owner: "CN=app", attributes: { Name: { value: "two" } } }), [ids[1]]);
  assert.match((await verify()).findings.join(), new RegExp(`${ids[0]}.*column names`));
});

const wholes: readonly (readonly [string, readonly string[]])[] = [
  ["a row is missing", ["delete from keyfleet.objects where id = $1"]],
  [
    "a row is an older one of its own",
    [
      "create table public.old as select * from keyfleet.objects where id = $1",
      "change",
      "update keyfleet.objects o set state = b.state, mac = b.mac, facts = b.facts from public.old b where o.id = b.id",
    ],
  ],
  [
    "a row and the root are older ones",
    [
      "create table public.old as select * from keyfleet.objects where id = $1",
      "create table public.root as select * from keyfleet.root",
      "change",
      "update keyfleet.objects o set state = b.state, mac = b.mac, facts = b.facts from public.old b where o.id = b.id",
      "update keyfleet.root set sealed = (select sealed from public.root)",
    ],
  ],
  ["the end of the log is missing", ["delete from keyfleet.ops where seq = 4"]],
  ["the root is missing", ["delete from keyfleet.root"]],
  ["the root is another", ["update keyfleet.root set sealed = sealed || 'x'::bytea"]],
];

for (const [sentence, statements] of wholes) {
  test(`when ${sentence} the audit finds it, and nothing is served or written from then on`, async () => {
    for (const statement of statements) {
      if (statement === "change") await store.write([{ kind: "change", id: ids[0], facts: 2, attributes: {} }]);
      else await store.query(statement.replace("$1", `'${ids[0]}'`));
    }
    assert.notEqual((await verify()).findingsTotal, 0);
    await store.audit();
    await refusesAll();
    // PostgreSQL and the master key come and go, the finding stays: only another audit may take it back.
    await reconnected();
    await refusesAll();
    await store.setKeyring(keyring);
    await refusesAll();
    await reopened();
    await refusesAll();
  });
}

async function refusesAll(): Promise<void> {
  assert.notEqual(store.status().damage, undefined);
  await assert.rejects(store.object(ids[1]), damaged);
  await assert.rejects(store.write([aCreate()]), damaged);
}

test("rows that are put back: the next audit finds nothing, what was kept meanwhile is merged, all is served and written", async () => {
  assert.equal((await store.object(ids[0]))?.facts, 1);
  await store.query("create table public.old as select * from keyfleet.objects");
  await store.query("update keyfleet.objects set mac = sha256(mac) where id = $1", [ids[0]]);
  await reconnected();
  await store.write([{ kind: "change", id: ids[0], facts: 2, attributes: {} }]);
  assert.equal(store.status().unappliedOperations, 1);
  await store.query("delete from keyfleet.objects where id = $1", [ids[1]]);
  await store.audit();
  await reconnected();
  await refusesAll();
  await reopened();
  await store.query("delete from keyfleet.objects");
  await store.query("insert into keyfleet.objects select * from public.old");
  const { findings, whole } = await store.audit();
  assert.deepEqual([findings, whole, store.status().damage], [[], true, undefined]);
  assert.equal(store.status().unappliedOperations, 0);
  assert.equal((await store.object(ids[0]))?.facts, 3);
  await store.write([aCreate()]);
  assert.deepEqual((await store.audit()).findings, []);
  await reopened();
  assert.equal((await store.object(ids[0]))?.facts, 3, "after a restart too");
});

const kept: readonly (readonly [sentence: string, value: string, told: RegExp])[] = [
  ["as it was written", "value", /some are missing, or older/],
  ["with another reason", `value || '{"why": "nothing"}'`, /was changed since/],
  ["without a MAC", "value - 'mac'", /was changed since/],
  ["with a MAC of a wrong length", `value || '{"mac": ""}'`, /was changed since/],
  ["as another text", `'"whole"'`, /was changed since/],
];

for (const [sentence, value, told] of kept) {
  test(`a finding that is kept ${sentence} stops the next process until an audit finds all to be right`, async () => {
    await store.query("create table public.old as select * from keyfleet.objects");
    await store.query("delete from keyfleet.objects where id = $1", [ids[0]]);
    assert.equal((await store.audit()).whole, false);
    await store.query(`update keyfleet.settings set value = ${value} where key = 'notWhole'`);
    await reopened();
    await refusesAll();
    assert.match(store.status().damage ?? "", told);
    await store.query("insert into keyfleet.objects select * from public.old where id = $1", [ids[0]]);
    assert.equal((await store.audit()).whole, true);
    await reopened();
    assert.equal((await store.object(ids[0]))?.id, ids[0]);
  });
}

test("a finding that is kept stops a process that gets the master key later, from its first moment", async () => {
  await store.query("delete from keyfleet.objects where id = $1", [ids[0]]);
  await store.audit();
  await store.close();
  const { keyring: _, ...withoutKeyring } = place;
  store = await openStore(withoutKeyring);
  await store.setKeyring(keyring);
  await refusesAll();
});

const logs: readonly (readonly [string, string, RegExp])[] = [
  ["the end of the log is missing", "delete from keyfleet.ops where seq = 4", /root/],
  ["an operation is missing", "delete from keyfleet.ops where seq = 2", /operations 2 to 2 .* are missing/],
  ["an operation was changed", "update keyfleet.ops set kind = 'other' where seq = 2", /operation 2 .* was changed/],
  ["two operations are swapped", swap(), /operation 2 .* was changed/],
];

for (const [sentence, statement, finding] of logs) {
  test(`verify tells that ${sentence}`, async () => {
    await store.query(statement);
    assert.match((await verify()).findings.join("\n"), finding);
  });
}

function swap(): string {
  return `update keyfleet.ops o set payload = b.payload, object = b.object, mac = b.mac from keyfleet.ops b
    where o.seq between 2 and 3 and b.seq = 5 - o.seq`;
}

test("a log that is set back stops the node at its start", async () => {
  await store.query("delete from keyfleet.ops where seq = 4");
  await reopened();
  assert.match(store.status().damage ?? "", /log/);
  await assert.rejects(store.object(ids[1]), damaged);
});

test("what was kept for later and changed is not merged", async () => {
  await store.query("insert into keyfleet.kept select * from keyfleet.ops where seq = 4");
  await store.query('update keyfleet.kept set payload = convert_to(\'{"v":1,"facts":8,"attributes":{}}\', \'UTF8\')');
  await reopened();
  assert.notEqual(store.status().damage, undefined);
});
