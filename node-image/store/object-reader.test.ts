import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { Keyring } from "../keys/types.ts";
import { fact } from "../objects/types.ts";
import { testKeyring } from "../testing/keyring.ts";
import { seeded } from "../testing/random.ts";
import type { State } from "./law.ts";
import { ObjectReader, objectCacheLimits } from "./object-reader.ts";
import { digestOf, makeRow } from "./row.ts";

const material = Buffer.from("sealed");
const [id, other] = [randomUUID(), randomUUID()] as const;

/** A table whose queries can be held, and a reader on it. */
function aReader(keyring: Keyring = testKeyring()) {
  const rows = new Map<string, number>();
  const held: (() => void)[] = [];
  const asked: string[][] = [];
  const control = { hold: false };
  const query = async (_: string, [ids]: unknown[]) => {
    const wanted = ids as string[];
    asked.push(wanted);
    // What the database answers is what it held when it was asked.
    const answer = wanted.flatMap((each) => (rows.has(each) ? [rowOf(keyring, each, rows.get(each) ?? 0)] : []));
    if (control.hold) await new Promise<void>((resolve) => held.push(resolve));
    return answer;
  };
  const reader = new ObjectReader(query, () => keyring);
  reader.reset(true);
  const facts = async (each = id) => (await reader.read([each])).objects[0]?.facts;
  const letGo = () => {
    control.hold = false;
    for (const resolve of held.splice(0)) resolve();
  };
  /** A commit from beginning to end, as the writer does it. */
  const commit = (each: string, value: number) => {
    reader.touch([each]);
    rows.set(each, value);
    reader.release([each]);
  };
  return { reader, rows, asked, control, facts, letGo, commit };
}

function rowOf(keyring: Keyring, each: string, facts: number) {
  const stamp = { hlc: "1", origin: id };
  const state: State = {
    born: { stamp, owner: "CN=a", objectType: 2, sealedDigest: digestOf(material) },
    facts,
    attributes: new Map(),
  };
  const destroyed = (facts & fact.destroyed) !== 0;
  return { ...makeRow(keyring, each, state), material: destroyed ? null : material };
}

test("an object is read once and then remembered, and so is that there is none", async () => {
  const { rows, facts, asked } = aReader();
  rows.set(id, 1);
  assert.deepEqual(
    [await facts(), await facts(), await facts(other), await facts(other)],
    [1, 1, undefined, undefined],
  );
  assert.deepEqual(asked, [[id], [other]]);
});

test("what is asked for in one turn is asked in one query, each object once", async () => {
  const { rows, facts, asked } = aReader();
  rows.set(id, 1).set(other, 2);
  assert.deepEqual(await Promise.all([facts(), facts(other), facts()]), [1, 2, 1]);
  assert.deepEqual(asked, [[id, other]]);
});

test("a committed change is read at once, also of what was absent", async () => {
  const { rows, facts, commit } = aReader();
  rows.set(id, 0);
  assert.deepEqual([await facts(), await facts(other)], [0, undefined]);
  commit(id, fact.destroyed);
  commit(other, 1);
  assert.deepEqual([await facts(), await facts(other)], [fact.destroyed, 1]);
});

test("while a commit is under way nothing of its objects is remembered: it may be seen elsewhere before it is known here", async () => {
  const { reader, rows, facts } = aReader();
  rows.set(id, 0);
  assert.equal(await facts(), 0);
  reader.touch([id]);
  assert.equal(await facts(), 0);
  rows.set(id, fact.destroyed); // durable, and not yet known to be so
  assert.equal(await facts(), fact.destroyed);
  reader.release([id]);
  assert.equal(await facts(), fact.destroyed);
});

test("a reading that began before a change is neither kept nor shared with those who ask after it", async () => {
  const { rows, facts, control, letGo, commit } = aReader();
  rows.set(id, 0);
  control.hold = true;
  const early = facts();
  await turn();
  commit(id, fact.destroyed);
  control.hold = false;
  assert.equal(await facts(), fact.destroyed);
  letGo();
  assert.equal(await early, 0);
  assert.equal(await facts(), fact.destroyed);
});

test("a failed reading is told to all who wait for it, and the next one is tried anew", async () => {
  const { reader, rows, facts, control } = aReader();
  const failing = new ObjectReader(
    () => Promise.reject(new Error("gone")),
    () => testKeyring(),
  );
  failing.reset(true);
  const both = await Promise.allSettled([failing.read([id]), failing.read([id])]);
  assert.deepEqual(
    both.map(({ status }) => status),
    ["rejected", "rejected"],
  );
  rows.set(id, 1);
  assert.equal(control.hold, false);
  assert.equal(await facts(), 1);
  assert.equal(reader.size, 1);
});

test("nothing is kept while the outcome of a transaction is unknown", async () => {
  const { reader, rows, facts, asked } = aReader();
  rows.set(id, 0);
  await facts();
  reader.reset(false);
  assert.equal(reader.size, 0);
  await facts();
  rows.set(id, fact.destroyed);
  assert.equal(await facts(), fact.destroyed);
  assert.equal(asked.length, 3);
});

test("nothing that is kept is given out once the master key is gone", async () => {
  const state = { closed: false };
  const keyring = Object.defineProperty({ ...testKeyring() }, "closed", { get: () => state.closed }) as Keyring;
  const { rows, facts } = aReader(keyring);
  rows.set(id, 0);
  await facts();
  state.closed = true;
  await assert.rejects(facts(), /master key is not in memory/);
});

test("a row that was changed in the database is told as damaged, and not kept", async () => {
  const { reader, rows } = aReader();
  const row = rowOf(testKeyring(), id, 0);
  const damaged = new ObjectReader(
    async () => [{ ...row, mac: Buffer.alloc(32) }],
    () => testKeyring(),
  );
  damaged.reset(true);
  assert.deepEqual(await damaged.read([id]), { objects: [], damaged: [id] });
  assert.equal(damaged.size, 0);
  rows.set(id, 0);
  await reader.read([id]);
  reader.drop([id]);
  assert.equal(reader.size, 0);
});

test("at most so many objects are kept, and those in use stay", async () => {
  const { reader, rows, facts, asked } = aReader();
  rows.set(id, 1);
  await facts();
  for (let count = 0; count < objectCacheLimits.objects; count += 1) {
    if (count % 500 === 0) await facts();
    await facts(randomUUID());
  }
  assert.ok(reader.size <= objectCacheLimits.objects);
  const before = asked.length;
  await facts();
  assert.equal(asked.length, before);
});

test("in any order of readings and commits, nobody is told less than what was committed before asking", async (context) => {
  const seed = Number(process.env.KEYFLEET_SEED ?? Date.now() % 2 ** 31);
  context.diagnostic(`KEYFLEET_SEED=${seed}`);
  const random = seeded(seed);
  const { reader, rows, control, letGo } = aReader();
  const ids = Array.from({ length: 4 }, () => randomUUID());
  const committed = new Map(ids.map((each) => [each, 0]));
  const underway = new Map<string, number>();
  const readings: Promise<void>[] = [];
  for (let step = 0; step < 5000; step += 1) {
    const each = ids[random(ids.length)] ?? id;
    const choice = random(8);
    if (choice < 3) {
      const least = committed.get(each) ?? 0;
      const check = (told: number | undefined) =>
        assert.ok((told ?? 0) >= least, `${told} after ${least}, step ${step}`);
      readings.push(reader.read([each]).then(({ objects }) => check(objects[0]?.facts)));
    } else if (choice === 3 && !underway.has(each)) {
      underway.set(each, (rows.get(each) ?? 0) + 1);
      reader.touch([each]);
    } else if (choice === 4 && underway.has(each)) {
      // From here on the change is durable, and others may know of it.
      rows.set(each, underway.get(each) ?? 0);
      committed.set(each, underway.get(each) ?? 0);
    } else if (choice === 5 && underway.has(each) && rows.get(each) === underway.get(each)) {
      underway.delete(each);
      reader.release([each]);
    } else if (choice === 6) control.hold = random(2) === 0;
    else if (random(3) === 0) letGo();
    else await turn();
    if (random(400) === 0) reader.reset(true);
  }
  letGo();
  while (readings.length > 0) {
    letGo();
    await Promise.race([Promise.all(readings.splice(0, 200)), turn().then(letGo).then(turn).then(letGo)]);
  }
});
