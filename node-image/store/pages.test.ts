import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import type pg from "pg";
import { aCreate } from "../testing/mesh.ts";
import { type Stores, startStores } from "../testing/stores.ts";
import { close, connectHere } from "./connection.ts";
import { beforeAll, objectsBehind, operationsIn, pageMaxBytes } from "./pages.ts";

// Nearly as large as an object may be: a thousand at once would be a gigabyte, and twice that as text.
const large = 700_000;
const count = 14;
let stores: Stores;
let client: pg.Client;

before(async () => {
  stores = await startStores();
  const store = await stores.aNode();
  for (let at = 0; at < count; at += 1) await store.write([{ ...aCreate(), sealed: randomBytes(large) }]);
  await store.write(Array.from({ length: count }, () => aCreate()));
  await store.query("insert into keyfleet.aside_objects table keyfleet.objects");
  // Of another hand, or a later version.
  const [first] = await store.query("select id from keyfleet.aside_objects order by id offset 3 limit 1");
  await store.query("update keyfleet.aside_objects set sealed = $2 where id = $1", [first?.id, randomBytes(5_000_000)]);
  client = await connectHere(stores.placeOf(store), () => undefined);
});
after(async () => {
  if (client !== undefined) close(client);
  await stores?.stop();
});

const sum = (numbers: readonly number[]) => numbers.reduce((all, each) => all + each, 0);

/** Bytes of each row of each page. */
async function pagesOf(table: string): Promise<number[][]> {
  const pages: number[][] = [];
  const seen: string[] = [];
  for (let after = beforeAll; ; ) {
    const { rows } = await client.query(objectsBehind(table, [after], 1_000));
    const last = rows.at(-1);
    if (last === undefined) break;
    after = last.id;
    seen.push(...rows.map(({ id }) => id as string));
    pages.push(rows.map(({ state, sealed }) => state.length + (sealed?.length ?? 0)));
  }
  const { rows } = await client.query(`select id from ${table} order by id`);
  assert.deepEqual(
    seen,
    rows.map(({ id }) => id),
    "each comes once, in order",
  );
  return pages;
}

test("objects are read as many at once as memory is good for", async () => {
  const pages = await pagesOf("keyfleet.objects");
  assert.ok(pages.length >= (count * large) / pageMaxBytes, `${pages.length} pages`);
  for (const page of pages) assert.ok(sum(page) <= pageMaxBytes, `a page of ${sum(page)} bytes`);
});

test("one that is larger by itself is read alone", async () => {
  const pages = await pagesOf("keyfleet.aside_objects");
  const tooLarge = pages.filter((page) => sum(page) > pageMaxBytes);
  assert.deepEqual(
    tooLarge.map(({ length }) => length),
    [1],
  );
});

test("so are operations, of which each comes once and as it was made", async () => {
  const pages: number[] = [];
  const seqs: number[] = [];
  for await (const operations of operationsIn(client, "keyfleet.ops", 1_000)) {
    pages.push(sum(operations.map(({ payload }) => payload.length)));
    seqs.push(...operations.map(({ seq }) => seq));
    assert.deepEqual(Object.keys(operations[0] ?? {}).sort(), [..."hlc kind mac object origin payload seq".split(" ")]);
  }
  assert.deepEqual(
    seqs,
    Array.from({ length: 2 * count }, (_, at) => at + 1),
  );
  assert.ok(Math.max(...pages) <= pageMaxBytes);
});
