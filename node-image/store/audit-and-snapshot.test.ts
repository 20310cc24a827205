import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { aCreate, until } from "../testing/mesh.ts";
import { type Stores, startStores } from "../testing/stores.ts";
import { close, connectHere } from "./connection.ts";
import { headsFrom } from "./head.ts";

const doors = readFileSync(join(import.meta.dirname, "../replication/mesh.sql"), "utf8");
let stores: Stores;

before(async () => {
  stores = await startStores();
});
after(() => stores?.stop());

test("behind an audit that does not find the database whole no snapshot begins, which could neither end nor be given up", async () => {
  const [store, peer] = await Promise.all([stores.aNode(), stores.aNode()]);
  const client = await connectHere(stores.placeOf(store), () => undefined);
  try {
    await peer.query(doors);
    await peer.write([aCreate()]);
    const [row] = await peer.query("select root, heads from mesh.mark()");
    const mark = { root: row?.root as Buffer, heads: headsFrom(row?.heads as never) };
    const create = aCreate();
    await store.write([create]);
    await client.query("create table public.old as table keyfleet.objects");
    await client.query("delete from keyfleet.objects");
    // Whatever the audit asks on other connections after its last page has to wait.
    await client.query("select pg_advisory_lock(1)");
    const blocked = [1, 2].map(() => store.query("select pg_advisory_lock_shared(1)"));
    const audit = store.audit();
    const lastPage =
      "select from pg_stat_activity where datname = current_database() and query = $1 and state = 'idle'";
    const isOver = async () => {
      const { rowCount } = await client.query(lastPage, ["select sealed from keyfleet.root"]);
      return rowCount === 1;
    };
    await until("the audit has seen all", isOver);
    const begun = store.intake.begin("CN=peer", mark);
    await assert.rejects(begun, { code: "damaged" });
    await client.query("select pg_advisory_unlock(1)");
    await Promise.all(blocked);
    assert.equal((await audit).whole, false);
    await assert.rejects(store.object(create.id), { code: "damaged" });
    await client.query("insert into keyfleet.objects table public.old");
    assert.equal((await store.audit()).whole, true);
    assert.equal((await store.object(create.id))?.id, create.id);
  } finally {
    close(client);
  }
});
