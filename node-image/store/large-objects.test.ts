import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { Change, Description } from "../objects/types.ts";
import { aCreate } from "../testing/mesh.ts";
import { type Stores, startStores } from "../testing/stores.ts";
import { ObjectReader, readLimits } from "./object-reader.ts";
import type { Query } from "./read.ts";
import type { NodeStore } from "./types.ts";

/** As large as a client may make them: material, attributes; and attributes that are just small enough to come with others. */
const [material, attributes, filling] = [700_000, 250_000, 16_000] as const;
const most = { rows: readLimits.pageObjects * readLimits.ofSmall, large: material + 2_000 } as const;
let stores: Stores;
let store: NodeStore;
const large: string[] = [];
const medium: string[] = [];
const mixed: string[] = [];

before(async () => {
  stores = await startStores();
  store = await stores.aNode();
  for (let at = 0; at < 10; at += 1) large.push(await written({ sealed: randomBytes(material) }));
  for (let at = 0; at < 150; at += 1) medium.push(await written(noteOf(filling - 1_000)));
  for (let at = 0; at < 4; at += 1)
    mixed.push(await written({}), await written(noteOf(attributes)), large[at] as string);
});
after(() => stores?.stop());

type Create = Extract<Change, { readonly kind: "create" }>;

const noteOf = (characters: number) => ({ attributes: { "x-note": ["n".repeat(characters)] } });

async function written(of: Partial<Create>): Promise<string> {
  const create = { ...(aCreate() as Create), ...of };
  await store.write([create]);
  return create.id;
}

/** A reader that tells how many bytes came in the largest answer, how many of material in all, and how many queries are under way. */
function aReader() {
  const told = { largest: 0, material: 0, underWay: 0 };
  const query: Query = async (text, values) => {
    told.underWay += 1;
    const rows = await store.query(text, values).finally(() => {
      told.underWay -= 1;
    });
    const bytes = (column: string) =>
      rows.reduce((all, row) => all + ((row[column] as Buffer | string | null)?.length ?? 0), 0);
    told.largest = Math.max(told.largest, bytes("state") + bytes("material"));
    told.material += bytes("material");
    return rows;
  };
  const reader = new ObjectReader(query, () => stores.keyring);
  reader.reset(true);
  return { reader, told };
}

const weightOf = (page: readonly Description[]) =>
  page.reduce((all, each) => all + JSON.stringify([...each.attributes]).length, 0);

const described = (reader: ObjectReader, ids: readonly string[]) =>
  reader.descriptions(ids, (damaged) => assert.deepEqual(damaged, []));

/** Searches at once, each of which looks at its page until nobody reads any more; the most that they hold together. */
async function heldBy(
  searches: readonly (readonly string[])[],
  { reader, told }: ReturnType<typeof aReader>,
): Promise<number> {
  let [held, mostHeld] = [0, 0];
  const search = async (ids: readonly string[]) => {
    const found: string[] = [];
    for await (const objects of described(reader, ids)) {
      held += weightOf(objects);
      mostHeld = Math.max(mostHeld, held);
      for (let quiet = 0; quiet < 20; quiet = told.underWay > 0 ? 0 : quiet + 1) await turn();
      held -= weightOf(objects);
      found.push(...objects.map(({ id }) => id));
    }
    assert.deepEqual(found, ids, "each one is found, in the order asked");
  };
  await Promise.all(searches.map(search));
  return mostHeld;
}

test("a search of large objects has none of their material", async () => {
  const counted = aReader();
  await heldBy([[...large, ...medium.slice(0, 20)], large], counted);
  assert.ok(counted.told.material < 100 * 32, `${counted.told.material} bytes of material`);
});

test("searches at once hold no more than has room, however much they look through", async () => {
  const counted = aReader();
  const held = await heldBy(
    Array.from({ length: 12 }, () => medium),
    counted,
  );
  assert.ok(held > readLimits.ofPages / 4 && held <= readLimits.ofPages, `${held} bytes held`);
  assert.ok(counted.told.largest <= most.rows, `${counted.told.largest} bytes in one answer`);
});

test("of objects with large attributes no more are held than may be at once, in the order asked", async () => {
  const held = await heldBy(
    Array.from({ length: 10 }, () => mixed),
    aReader(),
  );
  assert.ok(held <= readLimits.largeAtOnce * (attributes + 1_000) + 10 * 4 * 1_000, `${held} bytes held`);
});

test("large objects that are asked for at once come one by one, whole, and are not kept", async () => {
  const { reader, told } = aReader();
  const found = await Promise.all(large.map(async (id) => (await reader.read([id])).objects[0]));
  assert.deepEqual(
    found.map((object) => [object?.id, object?.sealed?.length]),
    large.map((id) => [id, material]),
  );
  assert.ok(told.largest <= most.large, `${told.largest} bytes in one answer`);
  assert.equal(reader.size, 0);
});

test("who reads several large ones reads them in one turn: none of them is held while others wait for theirs", async () => {
  const { reader, told } = aReader();
  const pairs = Array.from({ length: 5 }, (_, at) => large.slice(2 * at, 2 * at + 2));
  const read = await Promise.all(pairs.map(async (ids) => [await reader.read(ids), told.material] as const));
  for (const [at, [{ objects }, materialSoFar]] of read.entries()) {
    assert.equal(objects.length, 2);
    const most = (2 * (at + 1) + readLimits.largeAtOnce) * (material + 1_000);
    assert.ok(materialSoFar <= most, `pair ${at} is there when ${materialSoFar} bytes were read`);
  }
});

test("a list holds large and small ones in the order asked", async () => {
  for (const ids of [mixed, [...mixed, ...medium.slice(0, 20), ...large.slice(4)]]) {
    const objects = await store.objects(ids);
    assert.deepEqual(
      objects.map(({ id }) => id),
      ids,
    );
  }
});

test("a search that is broken off, or fails, gives back its room", async () => {
  const { reader } = aReader();
  for (let times = 0; times < 20; times += 1) for await (const _ of described(reader, [...large, ...medium])) break;
  for (let times = 0; times < 20; times += 1) for await (const _ of described(reader, mixed)) break;
  assert.equal((await Array.fromAsync(described(reader, mixed))).flat().length, mixed.length);
});
