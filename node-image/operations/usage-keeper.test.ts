import assert from "node:assert/strict";
import { test } from "node:test";
import type { Refusal } from "../objects/refusal.ts";
import type { Store } from "../objects/types.ts";
import { firstEntry, ledgerOf, type UsageEntry, usageRow, usageValue } from "../objects/usage-ledger.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { absentMs } from "./absent-holders.ts";
import { UsageKeeper } from "./usage-keeper.ts";

const epoch = "epoch";
const [dc2, dc3] = ["node of dc2", "node of dc3"];

/** A node whose peers are the test: it counts the waits for them, and gives what they write. */
function aNode() {
  let listener: (ids: readonly string[]) => void = () => undefined;
  const store: Store = { ...memoryStore(), onRemote: (_, heard) => (listener = heard) };
  const waits = { begun: 0, end: Promise.withResolvers<void>() };
  const clock = { ms: 0 };
  const usage = new UsageKeeper({
    store,
    nowMs: () => clock.ms,
    log: () => undefined,
    delay: () => {
      waits.begun += 1;
      return waits.end.promise;
    },
  });
  const object = { kind: "create", owner: "app", objectType: 2, sealed: Buffer.alloc(1), facts: 0 } as const;
  const limits = { "Usage Limits": [{ usageLimitsTotal: 10, usageLimitsUnit: 2, epoch }] };
  /** A key of which one peer holds all units. */
  const keyAt = (id: string, peer: string) => {
    const row = { [usageRow(epoch, peer)]: usageValue(firstEntry(10)) };
    return store.write([{ ...object, id, attributes: { ...limits, ...row } }]);
  };
  const entry = async (id: string, node: string) => {
    const rows = (await store.object(id))?.attributes ?? new Map();
    return ledgerOf(rows, epoch).get(node) as UsageEntry;
  };
  /** A peer gives what this node asked for. */
  const gives = async (id: string, peer: string) => {
    const { wanted } = await entry(id, store.holder);
    const given = { ...(await entry(id, peer)), given: { [store.holder]: wanted } };
    await store.write([{ kind: "change", id, facts: 0, attributes: { [usageRow(epoch, peer)]: usageValue(given) } }]);
    listener([id]);
    await usage.update(id, () => ({}));
  };
  /** What became of one use: and whether it had to wait. */
  const use = async (id: string, units = 1) => {
    const before = waits.begun;
    const taken = usage.take(id, units).then(
      () => "taken",
      (error: Refusal) => {
        assert.match(error.message, /held by other nodes/);
        return "elsewhere";
      },
    );
    for (let turn = 0; turn < 20 && waits.begun === before; turn += 1) await new Promise((turn) => setImmediate(turn));
    const waited = waits.begun > before;
    return { waited, outcome: () => taken };
  };
  /** The time of all waits is over. */
  const late = () => {
    waits.end.resolve();
    waits.end = Promise.withResolvers();
  };
  const inVain = async (id: string, units = 1) => {
    const { waited, outcome } = await use(id, units);
    late();
    assert.equal(await outcome(), "elsewhere");
    return waited;
  };
  return { clock, keyAt, entry, gives, use, late, inVain, store };
}

test("a peer that is cut off costs the first use its wait, and no other one, whatever key it is of", async () => {
  const { keyAt, inVain } = aNode();
  await keyAt("one", dc2);
  await keyAt("two", dc2);
  const waited = [];
  for (const id of ["one", "one", "two", "one", "two"]) waited.push(await inVain(id));
  assert.deepEqual(waited, [true, false, false, false, false]);
});

test("for the units of another peer is waited all the same", async () => {
  const { keyAt, inVain, use, gives } = aNode();
  await keyAt("one", dc2);
  await keyAt("two", dc3);
  await inVain("one");
  const { waited, outcome } = await use("two");
  assert.equal(waited, true);
  await gives("two", dc3);
  assert.equal(await outcome(), "taken");
});

test("whether the peer is back is tried after a while", async () => {
  const { clock, keyAt, inVain } = aNode();
  await keyAt("one", dc2);
  await inVain("one");
  clock.ms += absentMs - 1;
  assert.equal(await inVain("one"), false);
  clock.ms += 1;
  assert.equal(await inVain("one"), true);
  assert.equal(await inVain("one"), false);
});

test("a peer that answers is back at once, for all keys", async () => {
  const { keyAt, inVain, gives, use } = aNode();
  await keyAt("one", dc2);
  await keyAt("two", dc2);
  await inVain("one");
  assert.equal(await inVain("two"), false);
  await gives("one", dc2);
  assert.equal(await (await use("one")).outcome(), "taken");
  const { waited, outcome } = await use("two", 2);
  assert.equal(waited, true);
  await gives("two", dc2);
  assert.equal(await outcome(), "taken");
});

test("what was refused without a wait is asked for: on its return the peer gives it; once, not with each use", async () => {
  const { keyAt, inVain, gives, use, entry, store } = aNode();
  await keyAt("one", dc2);
  await keyAt("two", dc2);
  await inVain("one");
  await inVain("two", 3);
  const asked = await entry("two", store.holder);
  assert.equal(asked.wanted, 3);
  await inVain("two", 3);
  assert.equal(await entry("two", store.holder), asked, "nothing is written again");
  await gives("two", dc2);
  const { waited, outcome } = await use("two", 3);
  assert.deepEqual([waited, await outcome()], [false, "taken"]);
});

test("a peer that gave all that was asked for is not away, though another use of this node was faster", async () => {
  const { keyAt, use, gives, late, inVain } = aNode();
  await keyAt("one", dc2);
  const uses = [await use("one", 2), await use("one", 2)];
  await gives("one", dc2);
  late();
  assert.deepEqual((await Promise.all(uses.map(({ outcome }) => outcome()))).sort(), ["elsewhere", "taken"]);
  assert.equal(await inVain("one", 2), true);
});
