import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import pg from "pg";
import type { MeshTls } from "../replication/types.ts";
import { testKeyring } from "../testing/keyring.ts";
import { aCreate, type MeshFleet, type MeshNode, meshFleet, until } from "../testing/mesh.ts";
import { applyMeshConfiguration } from "./mesh-configuration.ts";

/** As in mesh.sql and postgresql.conf. */
const sessionsOfAll = 60;
const sessionsOfOne = 4;
const queueMaxBytes = 64 * 1024 * 1024;
/** Room comes and goes in files of this size. */
const queueFileBytes = 256 * 1024;

let fleet: MeshFleet;
let node: MeshNode;
const sponsor = { name: "dc1-b", site: "dc1", identity: "CN=dc1-b,OU=dc1,O=bank", standing: "Member" } as const;
const third = { name: "dc1-c", site: "dc1", identity: "CN=dc1-c,OU=dc1,O=bank", standing: "Member" } as const;
let tls: MeshTls;
let tlsOfThird: MeshTls;

before(async () => {
  fleet = await meshFleet(["dc1"], testKeyring());
  node = await fleet.start("dc1-a", "dc1");
  tls = await fleet.certificate("dc1", { site: "dc1", name: "dc1-b" });
  tlsOfThird = await fleet.certificate("dc1", { site: "dc1", name: "dc1-c" });
});
after(() => fleet?.stop());

/** A connection as a peer makes it, with changes. */
async function connected(change: pg.ClientConfig = {}, as = tls): Promise<pg.Client> {
  const client = new pg.Client({
    host: "127.0.0.1",
    port: node.postgres.port,
    user: "mesh",
    database: "keyfleet",
    ssl: {
      ca: as.trustBundlePem,
      cert: as.certificateChainPem,
      key: as.privateKeyPem,
      checkServerIdentity: () => undefined,
    },
    ...change,
  });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

test("before the key server has written anything, nobody is let in over the network", async () => {
  for (const [sentence, change] of [
    ["without TLS", { ssl: false }],
    ["with a certificate", {}],
    ["as the key server", { ssl: false, user: "keyfleet" }],
  ] as const)
    await assert.rejects(connected(change), sentence);
});

test("members are let in, with TLS 1.3, their certificate and the role mesh alone", async () => {
  await node.join([node.member, sponsor, third]);
  await until("the doors are open", () =>
    connected().then(
      (client) => client.end().then(() => true),
      () => false,
    ),
  );
  const { ca, cert, key } = { ca: tls.trustBundlePem, cert: tls.certificateChainPem, key: tls.privateKeyPem };
  const checkServerIdentity = () => undefined;
  for (const [sentence, change] of [
    ["no TLS", { ssl: false }],
    ["no certificate", { ssl: { ca, checkServerIdentity } }],
    ["TLS 1.2", { ssl: { ca, cert, key, checkServerIdentity, maxVersion: "TLSv1.2" } }],
    ["the key server's role", { user: "keyfleet" }],
    ["the role that owns the doors", { user: "mesh_door" }],
    ["another database", { database: "postgres" }],
    ["a template database", { database: "template1" }],
  ] as const)
    await assert.rejects(connected(change as pg.ClientConfig), sentence);
});

test("configuring again changes nothing, and a wrong pair of certificate and key is refused before it is written", async () => {
  const { socketDirectory, port, confDirectory: directory } = node.postgres;
  const configuration = { directory, socketDirectory, port, tls: node.tls, members: [node.member, sponsor, third] };
  assert.deepEqual(await applyMeshConfiguration(configuration), { changed: false });
  const wrong = { ...node.tls, privateKeyPem: tls.privateKeyPem };
  await assert.rejects(applyMeshConfiguration({ ...configuration, tls: wrong }), /private key/);
  const injected = { ...sponsor, identity: 'CN=x" mesh\nmesh "CN=y,OU=dc1,O=bank' };
  await assert.rejects(applyMeshConfiguration({ ...configuration, members: [injected] }), /not of the form/);
  assert.deepEqual(await applyMeshConfiguration(configuration), { changed: false });
});

test("a member's functions answer", async () => {
  await node.store.write([aCreate()]);
  const client = await connected();
  const { rows: vector } = await client.query("select origin, seq, own, base from mesh.vector()");
  assert.deepEqual(vector, [{ origin: node.store.incarnation, seq: "1", own: true, base: "0" }]);
  const { rows: pulled } = await client.query("select mesh.pull($1, $2, $3)", [node.store.incarnation, 0, 10]);
  assert.equal(pulled.length, 1);
  for (const [origin, seq] of [
    [node.store.incarnation, 1],
    [node.store.incarnation, 1_000],
    [randomUUID(), 1],
  ])
    await client.query("select mesh.acknowledge($1, $2)", [origin, seq]);
  const positions = await node.store.query("select identity, seq::int from mesh.positions");
  assert.deepEqual(
    positions,
    [{ identity: sponsor.identity, seq: 1 }],
    "no further than the log goes, of this log alone, under its own name",
  );
  await client.end();
});

test("the end of the container ends it at once and in order, although a peer is connected", async () => {
  const client = await connected();
  await node.postgres.terminate();
  await node.postgres.start();
  assert.match(node.postgres.output(), /database system is shut down/);
  assert.doesNotMatch(node.postgres.output(), /not properly shut down/);
  await client.end().catch(() => undefined);
  await until("the store is back", () => node.store.ping());
});

const forbidden: readonly (readonly [string, string])[] = [
  ["read the log", "select * from keyfleet.ops"],
  ["read objects", "select * from keyfleet.objects"],
  ["read wrapped master keys", "select * from keyfleet.master_keys"],
  ["read others' handovers", "select * from mesh.handovers"],
  ["write acknowledgements of others", "insert into mesh.positions values ('CN=x', 1)"],
  ["append to the log", "select keyfleet.append('{}','{}','{}','{}','{}','{}','{}','{}','{}')"],
  ["copy a table", "copy keyfleet.ops to stdout"],
  ["run a program", "copy (select 1) to program 'id'"],
  ["write a file", "copy (select 1) to '/tmp/x'"],
  ["create a table", "create table public.t (a int)"],
  ["create a table beside the functions", "create table mesh.t (a int)"],
  ["create a temporary table", "create temp table t (a int)"],
  ["create a schema", "create schema s"],
  ["create a function", "create function pg_temp.f() returns int language sql as 'select 1'"],
  ["run a block of code", "do $$ begin end $$"],
  ["make a large object", "select lo_create(0)"],
  ["write a large object", "select lo_from_bytea(0, 'x')"],
  ["read a file", "select pg_read_file('/etc/passwd')"],
  ["list a folder", "select pg_ls_dir('.')"],
  ["see the settings", "select * from pg_settings"],
  ["see other sessions", "select * from pg_stat_activity"],
  ["end other sessions", "select pg_terminate_backend(1)"],
  ["read passwords", "select * from pg_authid"],
  ["take the writer's lock", "select pg_advisory_lock(5696001)"],
  ["sleep", "select pg_sleep(1)"],
  ["burn time", "select count(*) from generate_series(1, 1000000000)"],
  ["become the key server", "set role keyfleet"],
  ["become the owner of the doors", "set role mesh_door"],
  ["change its own rights", "alter role mesh superuser"],
  ["reload the configuration", "select pg_reload_conf()"],
  ["ask who is calling", "select mesh.caller()"],
  ["prepare a transaction", "begin; prepare transaction 'x'"],
  ["compute anything", "select 1 + 1"],
  ["compute a digest", "select md5('x')"],
  ["join texts", "select 'a' || 'b'"],
  // The statement NOTIFY can be refused to nobody.
  ["notify by a function", "select pg_notify('acks', '')"],
  ["see how full the queue of notifications is", "select pg_notification_queue_usage()"],
  ["make JSON", "select to_jsonb(1)"],
  ["see its own session", "select current_setting('work_mem')"],
  ["change another's session", "select set_config('role', 'keyfleet', false)"],
  ["become the key server's session", "set session authorization keyfleet"],
  ["change the settings of all", "alter system set fsync = off"],
  ["change the settings of the database", "alter database keyfleet set work_mem = '1GB'"],
  ["load a library", "load 'dblink'"],
  ["make an extension", "create extension dblink"],
  ["make a subscription", "create subscription s connection 'host=x' publication p"],
  ["make a publication", "create publication p for all tables"],
  ["make an operator", "create operator mesh.+ (function = mesh.vector, leftarg = int)"],
  ["make a cast", "create cast (text as int) without function"],
  ["make an event trigger", "create event trigger t on ddl_command_end execute function mesh.vector()"],
  [
    "hang a trigger on the log",
    "create trigger t before insert on keyfleet.ops for each row execute function mesh.vector()",
  ],
  ["make a rule", "create rule r as on insert to keyfleet.ops do instead nothing"],
  ["lock the log", "begin; lock table keyfleet.ops"],
  ["empty the log", "truncate keyfleet.ops"],
  ["vacuum the log", "vacuum keyfleet.ops"],
  ["index the log", "create index on keyfleet.ops (kind)"],
  ["comment on the log", "comment on table keyfleet.ops is 'x'"],
  ["change a door", "create or replace function mesh.vector() returns int language sql as 'select 1'"],
  ["remove a door", "drop function mesh.pull"],
  ["write a checkpoint", "checkpoint"],
  ["pull from a snapshot of its own", "select pg_export_snapshot()"],
  ["stop a checkpoint", "checkpoint"],
];

/** What a member's key could still be used for: to take what the others need. Each ends by itself, and the store goes on. */
const greedy: readonly (readonly [sentence: string, statements: readonly string[], ends: RegExp])[] = [
  [
    "a query without end",
    [
      "set statement_timeout = 0",
      "set transaction_timeout = 0",
      "with recursive t (a) as (values (1) union all select a from t) select from t where a is null",
    ],
    /terminating connection|closed|terminated|temporary file size exceeds/,
  ],
  [
    "a transaction without end",
    [
      "set idle_in_transaction_session_timeout = 0",
      "set transaction_timeout = 0",
      "begin",
      "select from mesh.vector()",
      "wait",
    ],
    /terminating connection|closed|terminated|temporary file size exceeds/,
  ],
  [
    "more memory than there is",
    [
      "set work_mem = '4GB'",
      "set statement_timeout = 0",
      `with recursive t (a) as (values ('${"x".repeat(1_000)}'::text, 1) union all select a, b from t) select from t order by a`.replace(
        "t (a)",
        "t (a, b)",
      ),
    ],
    /out of memory|temporary file size exceeds/,
  ],
  [
    "more room on the disk than there is",
    [
      "set work_mem = '64kB'",
      "set statement_timeout = 0",
      `with recursive t (a, b) as (values ('${"x".repeat(1_000)}'::text, 1) union all select a, b from t) select from t order by a`,
    ],
    /temporary file size exceeds/,
  ],
  [
    "a statement beyond its time",
    ["with recursive t (a) as (values (1) union all select a from t) select from t where a is null"],
    // The faster the machine, the sooner it has used up its room instead.
    /statement timeout|temp_file_limit/,
  ],
];

for (const [sentence, statements, ends] of greedy) {
  test(`a member that asks for ${sentence} is stopped, and nobody else is hurt`, async () => {
    const client = await connected();
    const lost = once(client, "end").then(() => {
      throw new Error("connection closed");
    });
    lost.catch(() => undefined);
    const asked = (async () => {
      for (const statement of statements) {
        if (statement === "wait") await lost;
        else await client.query(statement);
      }
    })();
    asked.catch(() => undefined);
    // Meanwhile others are served.
    await until(
      "the store writes",
      () =>
        node.store.write([aCreate()]).then(
          () => true,
          () => false,
        ),
      10_000,
    );
    await assert.rejects(asked, ends);
    await client.end().catch(() => undefined);
    const other = await connected();
    assert.equal((await other.query("select from mesh.vector()")).rowCount, 1);
    await other.end();
    await node.store.write([aCreate()]);
    assert.doesNotMatch(node.postgres.output(), /terminated by signal|PANIC/);
  });
}

test("who takes all sessions there are with a member's certificate ends none that the member has, and keeps no other member out", async (t) => {
  const own = await connected();
  const outcomes = await Promise.allSettled(Array.from({ length: sessionsOfAll }, () => connected()));
  const taken = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  assert.ok(taken.length > sessionsOfOne);
  const more: pg.Client[] = [];
  t.after(() => Promise.all([own, ...taken, ...more].map((client) => client.end().catch(() => undefined))));
  const isAlive = (client: pg.Client) =>
    client.query("select from mesh.vector()").then(
      () => true,
      () => false,
    );
  const entering = async (as: MeshTls) => {
    const client = await connected({}, as).catch(() => undefined);
    if (client !== undefined) more.push(client);
    return client !== undefined;
  };
  await until("another member is let in", () => entering(tlsOfThird), 15_000);
  // Of one name the oldest two and the newest two stay.
  for (let count = 0; count < sessionsOfOne / 2; count += 1) await until("one more", () => entering(tls), 15_000);
  const left = async () => (await Promise.all(taken.map(isAlive))).filter((each) => each).length;
  await until("all between are ended", async () => (await left()) < sessionsOfOne / 2, 15_000);
  assert.deepEqual(await Promise.all(more.map(isAlive)), Array(1 + sessionsOfOne / 2).fill(true));
  assert.equal(await isAlive(own), true, "what the member had before");
});

test("a member that listens in an open transaction and floods the queue: it takes so much room and no more, others write and acknowledge, it is ended", async (t) => {
  const [listener, flood] = [await connected(), await connected()];
  t.after(() => Promise.all([listener, flood].map((client) => client.end().catch(() => undefined))));
  const ended = new Promise((resolve) => listener.once("end", resolve));
  for (const statement of [
    "set idle_in_transaction_session_timeout = 0",
    "set transaction_timeout = 0",
    "listen flood",
    "begin",
    "select from mesh.vector()",
  ])
    await listener.query(statement);
  let sent = 0;
  const notifyMany = () => {
    sent += 1;
    const texts = Array.from({ length: 500 }, (_, at) => `notify flood, '${sent} ${at} ${"x".repeat(7_900)}'`);
    return flood.query(texts.join(";"));
  };
  await assert.rejects(
    (async () => {
      for (;;) await notifyMany();
    })(),
    { code: "54000", message: /NOTIFY queue/ },
  );
  await node.store.write([aCreate()]);
  const other = await connected({}, tlsOfThird);
  await other.query("select mesh.acknowledge($1, $2)", [node.store.incarnation, node.store.status().head]);
  await other.end();
  const folder = join(node.postgres.dataFolder(), "18/pg_notify");
  const sizes = readdirSync(folder).map((file) => statSync(join(folder, file)).size);
  assert.ok(sizes.reduce((sum, size) => sum + size, 0) <= queueMaxBytes + 2 * queueFileBytes);
  await ended;
  await node.store.write([aCreate()]);
  assert.doesNotMatch(node.postgres.output(), /terminated by signal|PANIC/);
});

test("role mesh may do nothing else", async (t) => {
  const client = await connected();
  t.after(() => client.end());
  for (const [sentence, statement] of forbidden) {
    const outcome = await client.query(statement).then(
      () => "done",
      (error: { code: string }) => error.code,
    );
    // 42501 insufficient_privilege; 55000: prepared transactions are switched off; 0A000: so is alter system.
    assert.ok(["42501", "55000", "0A000"].includes(outcome), `${sentence}: ${outcome}`);
    await client.query("rollback");
  }
  await client.query("listen ops");
});
