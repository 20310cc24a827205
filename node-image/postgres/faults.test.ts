import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { closeSync, openSync, rmSync, statfsSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import pg from "pg";
import type { Json } from "../objects/types.ts";
import { roomMinBytes } from "../store/disk-room.ts";
import { envelope } from "../store/operation.ts";
import { slowCommitMs } from "../store/slowest-commit.ts";
import { openStore } from "../store/store.ts";
import type { NodeStore, Operation } from "../store/types.ts";
import { testKeyring } from "../testing/keyring.ts";
import { aCreate, until } from "../testing/mesh.ts";
import { startPostgres, type TestPostgres, type TestPostgresOptions } from "../testing/postgres.ts";

interface Subject {
  readonly postgres: TestPostgres;
  readonly store: NodeStore;
  /** Names of the events in the store's log. */
  readonly events: string[];
  readonly freeBytes: () => number;
}

const pageBytes = 8_192;
const keyring = testKeyring();
const open: Subject[] = [];
after(async () => {
  for (const { store, postgres } of open) {
    await store.close().catch(() => undefined);
    await postgres.stop();
  }
});

/** A store on a real PostgreSQL that can be hurt. */
async function aStore(options: TestPostgresOptions = {}): Promise<Subject> {
  const postgres = await startPostgres(options);
  const events: string[] = [];
  const log = (fields: Readonly<Record<string, Json>>) => void events.push(String(fields.event));
  const freeBytes = () => {
    const { bavail, bsize } = statfsSync(postgres.dataFolder());
    return bavail * bsize;
  };
  const { socketDirectory, port } = postgres;
  const store = await openStore({ socketDirectory, port, keyring, nowMs: () => Date.now(), log, freeBytes });
  const subject = { postgres, store, events, freeBytes };
  open.push(subject);
  return subject;
}

/** Takes room on the disk until so many bytes are left; what it returns gives it back. */
function fill({ postgres, freeBytes }: Subject, leftBytes: number): () => void {
  const file = join(postgres.dataFolder(), "filler");
  const size = Math.max(0, freeBytes() - leftBytes);
  spawnSync("sh", ["-c", 'head -c "$1" /dev/zero >"$2"', "sh", String(size), file]);
  return () => rmSync(file);
}

const writes = (store: NodeStore) =>
  store.write([aCreate()]).then(
    () => true,
    () => false,
  );

test("a disk that gets full: writes are refused with what to do, reads are served; with room again it writes", async () => {
  const subject = await aStore({ diskMebibytes: 320 });
  const { store, events } = subject;
  const create = aCreate();
  await store.write([create]);
  const clear = fill(subject, roomMinBytes / 2);
  await until("writes are refused", async () => !(await writes(store)));
  await assert.rejects(store.write([aCreate()]), {
    code: "unavailable",
    message: /MiB left.*give the volume more room/,
  });
  await assert.rejects(store.ingest([]), { code: "unavailable" }, "nor is anything taken in");
  assert.equal((await store.object(create.id))?.id, create.id);
  assert.match(store.status().writesRefused ?? "", /MiB left/);
  assert.equal(store.status().available, true, "PostgreSQL is none the worse");
  clear();
  await until("it writes again", () => writes(store));
  assert.equal(store.status().writesRefused, undefined);
  assert.deepEqual(events, ["diskFull", "diskHasRoom"]);
});

test("a disk without any room: PostgreSQL may end, nothing acknowledged is lost, and it is back by itself when there is room", async () => {
  const subject = await aStore({ diskMebibytes: 320 });
  const { store, postgres } = subject;
  const acknowledged = [aCreate(), aCreate()];
  await store.write(acknowledged);
  const clear = fill(subject, 0);
  postgres.killPostmaster();
  await until("it is away", () => !store.status().available);
  // It cannot even recover now: its log has no room.
  await until("it was tried again", () => /started again in [123] s/.test(postgres.output()), 20_000);
  clear();
  await until("it is back", () => writes(store), 30_000);
  for (const { id } of acknowledged) assert.equal((await store.object(id))?.id, id);
});

test("a slow disk: writes take as long as it does and are all kept, reads wait for none of it, and it is told of", async () => {
  const { postgres, store, events } = await aStore({ slowDisk: true });
  const create = aCreate();
  await store.write([create]);
  const file = join(postgres.socketDirectory, "../slow");
  writeFileSync(file, `${slowCommitMs + 200}`);
  const slow = Promise.all([store.write([aCreate()]), store.write([aCreate()])]);
  assert.equal((await store.object(create.id))?.id, create.id);
  assert.ok(store.status().slowestCommitMs < slowCommitMs, "the read was answered before the writes were");
  await slow;
  writeFileSync(file, "0");
  assert.ok(store.status().slowestCommitMs >= slowCommitMs);
  assert.deepEqual(events, ["slowDisk"]);
});

test("the first process of PostgreSQL is killed: what was in flight is not acknowledged, and the store is back by itself", async () => {
  const { postgres, store, events } = await aStore();
  const acknowledged: string[] = [];
  let writing = true;
  const client = (async () => {
    while (writing) {
      const create = aCreate();
      await store.write([create]).then(
        () => acknowledged.push(create.id),
        () => new Promise((resolve) => setTimeout(resolve, 20)),
      );
    }
  })();
  await until("writes are acknowledged", () => acknowledged.length > 20);
  postgres.killPostmaster();
  await until("the loss is noticed", () => events.includes("databaseLost"));
  const before = acknowledged.length;
  await until("writes are acknowledged again", () => acknowledged.length > before + 20, 20_000);
  writing = false;
  await client;
  assert.equal((await store.objects(acknowledged)).length, acknowledged.length);
  assert.deepEqual(events, ["databaseLost", "databaseBack"]);
});

test("start.sh is killed, in a folder named by a link: the next one ends the PostgreSQL that is left, and starts its own", async () => {
  const { postgres, store } = await aStore({ linked: true });
  await store.write([aCreate()]);
  postgres.killStartScript();
  const starts = () => postgres.output().split("ready to accept connections").length - 1;
  await until("another one is ready", () => starts() === 2, 20_000);
  await until("it writes again", () => writes(store));
});

test("connections that are lost, one or all: the store connects again and goes on", async () => {
  const { store, events } = await aStore();
  const create = aCreate();
  await store.write([create]);
  await store
    .query(
      "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'keyfleet' and pid <> pg_backend_pid()",
    )
    .catch(() => undefined);
  await until("the loss is noticed", () => events.includes("databaseLost"));
  await until("it writes again", () => writes(store));
  assert.equal((await store.object(create.id))?.id, create.id);
});

const createsOfPages = 200;

/** A store of some pages that an audit has found whole; then one of a table's is damaged on the disk. */
async function withDamagedPage(
  table: "objects" | "ops",
  page: number,
): Promise<Subject & { readonly ids: readonly string[] }> {
  const subject = await aStore();
  const { postgres, store } = subject;
  const creates = Array.from({ length: createsOfPages }, () => aCreate());
  await store.write(creates);
  assert.equal((await store.audit()).whole, true);
  await store.query("checkpoint");
  const [place] = await store.query(`select pg_relation_filepath('keyfleet.${table}') as path`);
  const file = join(postgres.socketDirectory, "../../data/18", String(place?.path));
  // What PostgreSQL has in memory is right; only from the disk comes another page.
  await postgres.terminate();
  assert.ok(statSync(file).size > (page + 2) * pageBytes, "it is not the last page");
  const handle = openSync(file, "r+");
  writeSync(handle, Buffer.from("damaged"), 0, 7, page * pageBytes + pageBytes / 2);
  closeSync(handle);
  await postgres.start();
  await until("it is back", () => store.ping(), 20_000);
  return { ...subject, ids: creates.map(({ id }) => id) };
}

const readings = (store: NodeStore, ids: readonly string[]) =>
  Promise.all(
    ids.map((id) =>
      store.object(id).then(
        (object) => object?.id === id,
        (error: { code: string }) => error.code,
      ),
    ),
  );

test("a damaged page of objects: what lies on it is not served and that is told; everything else is served and written", async () => {
  const { store, events, ids } = await withDamagedPage("objects", 0);
  const read = await readings(store, ids);
  assert.ok(read.includes("damaged"), "what lies on the page is refused");
  assert.ok(
    read.every((one) => one === true || one === "damaged"),
    "and nothing else than that",
  );
  assert.ok(read.includes(true), "what lies on others is served");
  const refused = ids.filter((_, at) => read[at] === "damaged");
  assert.equal((await store.objects(ids)).length, ids.length - refused.length, "also in a long list");
  const { damagedObjects, damagedPages } = store.status();
  assert.deepEqual([damagedObjects, damagedPages], [refused.length, true]);
  assert.ok(events.includes("pagesDamaged"));
  await until("it writes", () => writes(store));
});

test("a damaged page of objects: audits that do not get past it are told of, and the one that ended before counts no more", async () => {
  const { store, events } = await withDamagedPage("objects", 0);
  await until("the writer is back", () => store.status().available);
  assert.deepEqual([store.status().auditProblem, store.status().damagedPages], [undefined, false]);
  await assert.rejects(store.audit(), { code: "damaged", message: /page.*remove this node/ });
  assert.match(store.status().auditProblem ?? "", /page/);
  assert.equal(store.status().damagedPages, true);
  assert.deepEqual(events.slice(-2), ["pagesDamaged", "auditFailed"]);
});

test("a damaged page of objects: what a peer wrote of one is kept, and what comes behind it is taken in", async () => {
  const { store, ids } = await withDamagedPage("objects", 0);
  await until("the writer is back", () => store.status().available);
  const [first = ""] = ids;
  const origin = randomUUID();
  const log = [first, randomUUID()].map((object, at) => aChange({ origin, seq: at + 1, object }));
  assert.deepEqual(await store.ingest(log), { outcome: "held", position: log.length });
  const { damagedObjects, unappliedOperations } = store.status();
  assert.deepEqual([damagedObjects, unappliedOperations], [1, 1]);
});

test("a damaged page of the log that a peer alone meets, by pulling: the node tells of it all the same", async () => {
  const { postgres, store, events } = await withDamagedPage("ops", 2);
  await until("the writer is back", () => store.status().available);
  const { socketDirectory: host, port } = postgres;
  const peer = new pg.Client({ host, port, user: "keyfleet", database: "keyfleet" });
  await peer.connect();
  await assert.rejects(peer.query("select payload from keyfleet.ops"), { code: "XX001" });
  await peer.end();
  assert.equal(store.status().damagedPages, false);
  assert.equal((await store.audit()).whole, true, "the objects are what they were");
  assert.equal(store.status().damagedPages, true);
  assert.ok(events.includes("pagesDamaged"));
});

test("a damaged page of the log without which nothing can be written: the node tells why it does not go on", async () => {
  const { store, events } = await withDamagedPage("ops", 0);
  await until("it is told", () => store.status().damagedPages);
  assert.equal(store.status().available, false);
  assert.ok(events.includes("pagesDamaged"));
});

/** An operation of another node. */
function aChange(parts: Pick<Operation, "origin" | "seq" | "object">): Operation {
  const payload = Buffer.from('{"v":1,"facts":1,"attributes":{}}');
  const unsigned = { ...parts, hlc: BigInt(Date.now()) << 16n, kind: "change", payload };
  return { ...unsigned, mac: keyring.mac(envelope(unsigned)) };
}
