import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import pg from "pg";
import { testKeyring } from "../testing/keyring.ts";
import { aCreate } from "../testing/mesh.ts";
import { startPostgres } from "../testing/postgres.ts";
import { lasting, localConnection, type Place, readers } from "./connection.ts";
import { openStore } from "./store.ts";

let postgres: Awaited<ReturnType<typeof startPostgres>>;
let place: Place;

before(async () => {
  postgres = await startPostgres();
  place = { socketDirectory: postgres.socketDirectory, port: postgres.port, database: "keyfleet" };
});
after(() => postgres?.stop());

test("searches that all wait for the database keep nobody waiting who asks how far the peers are", async (context) => {
  const store = await openStore({ ...place, keyring: testKeyring(), nowMs: () => Date.now(), log: () => undefined });
  context.after(() => store.close());
  await store.write([aCreate()]);
  const blocker = new pg.Client(localConnection(place));
  await blocker.connect();
  await blocker.query("begin; lock table keyfleet.objects in access exclusive mode");
  const searches = Array.from({ length: 8 }, () => store.locate({ owner: "CN=app", attributes: {} }));
  const answer = await store.query("select 1 as one");
  await blocker.end();
  assert.deepEqual(answer, [{ one: 1 }]);
  assert.equal((await Promise.all(searches)).length, 8);
});

test("PostgreSQL looks for who has gone behind a search, and at rest wakes up once for each question of our own", async (context) => {
  const store = await openStore({ ...place, keyring: testKeyring(), nowMs: () => Date.now(), log: () => undefined });
  context.after(() => store.close());
  const looks = "show client_connection_check_interval";
  assert.deepEqual(await store.query(looks), [{ client_connection_check_interval: "0" }]);
  const clients = readers(place, 1);
  context.after(() => clients.end());
  const { rows } = await clients.query(looks);
  assert.deepEqual(rows, [{ client_connection_check_interval: "2s" }]);
});

test("a statement over whole tables is waited for where another is given up", async (context) => {
  const [hasty, patient] = [1, 2].map(() => new pg.Client({ ...localConnection(place), query_timeout: 100 }));
  assert.ok(hasty && patient);
  context.after(() => Promise.all([hasty.end(), patient.end()]));
  await Promise.all([hasty.connect(), patient.connect()]);
  const text = "select pg_sleep(0.5)";
  await assert.rejects(hasty.query(text), /timeout/);
  assert.equal((await patient.query(lasting(text))).rowCount, 1);
});
