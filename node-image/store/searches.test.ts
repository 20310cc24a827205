import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { locateMax, type ManagedObject } from "../objects/types.ts";
import { StoreError } from "./error.ts";
import { GrantReader } from "./grant-reader.ts";
import { NameReader } from "./name-reader.ts";
import { locateObjects } from "./read.ts";

/** A table of names whose queries can be held. */
function someNames() {
  const holders = new Map<string, string[]>();
  const asked: string[][] = [];
  const held: (() => void)[] = [];
  const control = { hold: false };
  const query = async (_: string, [owners, names]: unknown[]) => {
    const keys = (owners as string[]).map((owner, at) => `${owner} ${JSON.parse((names as string[])[at] ?? "")[0]}`);
    asked.push(keys);
    if (keys.some((key) => key.endsWith("bad"))) throw new StoreError("invalid", "the database refused the values");
    const rows = keys.flatMap((key, at) => (holders.get(key) ?? []).map((id) => ({ at: at + 1, id })));
    if (control.hold) await new Promise<void>((resolve) => held.push(resolve));
    return rows;
  };
  const letGo = () => {
    control.hold = false;
    for (const resolve of held.splice(0)) resolve();
  };
  return { reader: new NameReader(query), holders, asked, control, letGo };
}

test("names that are asked for in one turn are asked for in one query, and each gets its own answer", async () => {
  const { reader, holders, asked } = someNames();
  holders.set("a one", ["1", "2"]).set("b one", ["3"]);
  const found = await Promise.all([
    reader.holders("a", "one"),
    reader.holders("b", "one"),
    reader.holders("a", "none"),
    reader.holders("a", "one"),
  ]);
  assert.deepEqual(found, [["1", "2"], ["3"], [], ["1", "2"]]);
  assert.deepEqual(asked, [["a one", "b one", "a none", "a one"]]);
});

test("an answer holds what was there when it was asked for: a query that is under way is not shared", async () => {
  const { reader, holders, control, letGo } = someNames();
  control.hold = true;
  const before = reader.holders("a", "one");
  await turn();
  await turn();
  holders.set("a one", ["1"]);
  const later = reader.holders("a", "one");
  letGo();
  assert.deepEqual(await Promise.all([before, later]), [[], ["1"]]);
});

test("a name that the database refuses fails alone", async () => {
  const { reader, holders } = someNames();
  holders.set("a one", ["1"]);
  const [good, bad] = await Promise.allSettled([reader.holders("a", "one"), reader.holders("a", "bad")]);
  assert.deepEqual(good, { status: "fulfilled", value: ["1"] });
  assert.equal(bad.status, "rejected");
});

test("a name of very many objects is left to a search of its own", async () => {
  const { reader, holders } = someNames();
  holders.set(
    "a one",
    Array.from({ length: 1_001 }, (_, number) => String(number)),
  );
  assert.equal(await reader.holders("a", "one"), "tooMany");
});

/** A search by grant that tells how often it was made. */
function someGrants() {
  const grants = new GrantReader();
  grants.reset(true);
  const state = { ids: [] as string[], made: 0 };
  const find = () =>
    grants.find(["Locate user:a"], async () => {
      state.made += 1;
      return [...state.ids];
    });
  return { grants, state, find };
}

test("what was found by grants is remembered until a commit concerns one", async () => {
  const { grants, state, find } = someGrants();
  assert.deepEqual([await find(), await find()], [[], []]);
  assert.equal(state.made, 1);
  grants.touch();
  state.ids = ["1"];
  grants.release();
  assert.deepEqual([await find(), await find()], [["1"], ["1"]]);
  assert.equal(state.made, 2);
});

test("nothing is remembered while such a commit is under way, nor of a search that began before its end", async () => {
  const { grants, state, find } = someGrants();
  grants.touch();
  assert.deepEqual([await find(), await find()], [[], []]);
  const early = grants.find(["Locate user:a"], async () => {
    await turn();
    return [];
  });
  state.ids = ["1"];
  grants.release();
  await early;
  assert.deepEqual(await find(), ["1"]);
});

test("nothing is remembered where this process is not the one that writes", async () => {
  const { grants, state, find } = someGrants();
  grants.reset(false);
  await find();
  await find();
  assert.equal(state.made, 2);
});

/** A search that finds one object more than it looks through; `damaged` of them are not what the index says. */
function crowded(damaged: number) {
  const ids = Array.from({ length: locateMax + 1 }, (_, at) => String(at));
  const object = (id: string): ManagedObject => ({
    id,
    owner: "a",
    objectType: 2,
    facts: 0,
    attributes: new Map([["x-a", [Number(id) < damaged ? "other" : "wanted"]]]),
    sealed: undefined,
  });
  const query = async () => ids.map((id) => ({ id }));
  const search = (attributes?: Readonly<Record<string, string>>) =>
    locateObjects(query, { owner: "a", ...(attributes === undefined ? {} : { attributes }) }, async function* (some) {
      yield some.map(object);
    });
  return { ids, search };
}

test("what finds more than is searched gives one more than that, so that who asks knows", async () => {
  const { ids, search } = crowded(0);
  assert.deepEqual(await search(), ids);
  assert.deepEqual(await search({ "x-a": "wanted" }), ids);
});

test("where that cannot be told any more, since some were found by what is not authenticated, it is refused", async () => {
  const { search } = crowded(1);
  await assert.rejects(search({ "x-a": "wanted" }), { name: "StoreError", code: "tooMany" });
});
