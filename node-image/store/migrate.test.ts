import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { testKeyring } from "../testing/keyring.ts";
import { aCreate } from "../testing/mesh.ts";
import { startPostgres, type TestPostgres } from "../testing/postgres.ts";
import { openStore } from "./store.ts";
import type { NodeStore } from "./types.ts";

const keyring = testKeyring();
let postgres: TestPostgres;
before(async () => {
  postgres = await startPostgres();
});
after(() => postgres?.stop());

function open(softwareVersion: string): Promise<NodeStore> {
  const { socketDirectory, port } = postgres;
  const place = { socketDirectory, port, keyring, nowMs: () => Date.now(), log: () => undefined };
  return openStore({ ...place, softwareVersion });
}

/** As software of a later version leaves the database. */
async function upgradedBy(version: number, worksWith: string): Promise<void> {
  const store = await open("0.1.0");
  await store.query("insert into public.keyfleet_schema values ($1, $2)", [version, worksWith]);
  await store.close();
}

test("an upgrade can be taken back: the older software works with tables that the newer one has added to", async () => {
  await upgradedBy(90, "0.1.0");
  const store = await open("0.1.0");
  const create = aCreate();
  await store.write([create]);
  assert.equal((await store.object(create.id))?.id, create.id);
  await store.close();
});

test("tables that the older software would get wrong are refused, and it says what to run", async () => {
  await upgradedBy(91, "0.2.0");
  await assert.rejects(open("0.1.9"), {
    code: "invalid",
    message: /schema 91, made by newer software; run 0\.2\.0 or later/,
  });
  await (await open("0.2.0")).close();
});

test("nothing is written that members of the feature level would not understand", async () => {
  const store = await open("0.2.0");
  store.setFeatureLevel("0.0.9");
  await assert.rejects(async () => store.write([aCreate()]), {
    code: "invalid",
    message: /finish the fleet's upgrade first/,
  });
  store.setFeatureLevel("0.1.0");
  await store.write([aCreate()]);
  await store.close();
});
