import assert from "node:assert/strict";
import { test } from "node:test";
import { Pace } from "./pace.ts";

/** A pace whose time moves only by `pass`, a tick each second; operations and silence as they are set. */
function aPace() {
  const world = { nowMs: 0, operations: 0, silent: false, late: [] as { atMs: number; work: () => void }[] };
  const pace = new Pace({
    store: { vector: () => new Map([["one", world.operations]]) },
    nowMs: () => world.nowMs,
    surroundings: {
      after: (ms, work) => {
        world.late.push({ atMs: world.nowMs + ms, work });
        return () => undefined;
      },
      random: () => 0.5,
    },
    anySilent: () => world.silent,
  });
  const looked: string[] = [];
  const links = new Map<string, object>();
  const link = (name: string) => {
    links.set(name, links.get(name) ?? {});
    return links.get(name) as object;
  };
  return {
    pace,
    world,
    link,
    wait: (name: string) => void pace.turn(link(name)).then(() => looked.push(name)),
    pass: async (seconds: number) => {
      for (let passed = 0; passed < seconds; passed += 1) {
        world.nowMs += 1_000;
        const due = world.late.filter(({ atMs }) => atMs <= world.nowMs);
        world.late = world.late.filter((each) => !due.includes(each));
        for (const { work } of due) work();
        pace.tick();
      }
      await new Promise(setImmediate);
      return looked.splice(0);
    },
  };
}

test("links look whenever they want for three seconds from the start", async () => {
  const { pace, wait, pass } = aPace();
  wait("a");
  assert.deepEqual(await pass(0), ["a"]);
  assert.equal(pace.resting, false);
});

test("at rest one link after another has its turn, one in two seconds", async () => {
  const { wait, pass } = aPace();
  await pass(4);
  for (const name of ["a", "b", "c"]) wait(name);
  assert.deepEqual(await pass(2), ["a"]);
  wait("a");
  assert.deepEqual(await pass(1), []);
  assert.deepEqual(await pass(5), ["b", "c", "a"]);
});

const reasons: readonly (readonly [string, (parts: ReturnType<typeof aPace>) => void])[] = [
  ["anything came, from whomever", ({ world }) => void Object.assign(world, { operations: 1 })],
  ["a peer is silent: others may be gone as well", ({ world }) => void Object.assign(world, { silent: true })],
  ["a write begins to wait", ({ pace }) => pace.wake()],
];
for (const [reason, happens] of reasons)
  test(`all look again within a second or two when ${reason}`, async () => {
    const parts = aPace();
    const { pace, wait, pass } = parts;
    await pass(4);
    for (const name of ["a", "b", "c"]) wait(name);
    happens(parts);
    assert.deepEqual((await pass(2)).sort(), ["a", "b", "c"]);
    assert.equal(pace.resting, false);
  });

test("a link that is gone waits no longer and takes nobody's turn", async () => {
  const { pace, link, wait, pass } = aPace();
  await pass(4);
  for (const name of ["a", "b"]) wait(name);
  pace.leave(link("a"));
  assert.deepEqual(await pass(0), ["a"]);
  assert.deepEqual(await pass(2), ["b"]);
});
