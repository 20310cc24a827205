import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "../testing/fake-clock.ts";
import { FakeCluster } from "../testing/fake-cluster.ts";
import { quietLog } from "../testing/quiet-log.ts";
import { LeaseFleetLock } from "./fleet-lock.ts";

const names = ["dc1", "dc2", "dc3"] as const;
const work = { operation: "Join", node: "dc1-a" };

class World {
  readonly clock = new FakeClock();
  readonly sites = new Map(names.map((name) => [name as string, new FakeCluster()]));
  readonly reachable = new Set<string>(names);
  /** "dc1>dc2": the operator of dc1 does not reach dc2. */
  readonly broken = new Set<string>();
  lost = 0;
  counting: readonly string[] = names;

  lock(site: string, instance = site): LeaseFleetLock {
    return new LeaseFleetLock({
      cluster: "bank",
      self: { site, instance },
      counting: () => this.counting,
      api: (name) =>
        this.reachable.has(name) && !this.broken.has(`${site}>${name}`) ? this.sites.get(name) : undefined,
      onLost: () => {
        this.lost++;
      },
      clock: this.clock,
      log: quietLog(),
    });
  }

  async prepared(): Promise<this> {
    for (const site of names) await this.lock(site).prepare();
    return this;
  }

  site(name: string): FakeCluster {
    return this.sites.get(name) as FakeCluster;
  }

  holders(): (string | undefined)[] {
    return names.map(
      (name) => (this.site(name).peek("Lease", "keyfleet-bank")?.spec as { holderIdentity?: string })?.holderIdentity,
    );
  }
}

test("is taken in every site, shows what for, and is given back everywhere", async () => {
  const world = await new World().prepared();
  const lock = world.lock("dc1");
  assert.equal(await lock.take(work), true);
  assert.deepEqual(world.holders(), ["dc1", "dc1", "dc1"]);
  assert.deepEqual(lock.view(), { heldByMe: true, holder: "dc1", ...work });
  assert.deepEqual(await world.lock("dc2").refresh(), { heldByMe: false, holder: "dc1", ...work });
  await lock.release();
  assert.deepEqual(world.holders(), [undefined, undefined, undefined]);
  assert.equal(lock.isHeld(), false);
});

test("a second operator is refused while the first renews, and gets it after the release", async () => {
  const world = await new World().prepared();
  const [first, second] = [world.lock("dc1"), world.lock("dc2")];
  assert.equal(await first.take(work), true);
  await world.clock.advance(60_000);
  assert.equal(await second.take(work), false);
  assert.equal(first.isHeld(), true);
  await first.release();
  assert.equal(await second.take(work), true);
});

test("a crashed holder's lock is taken over after it has lapsed, not before", async () => {
  const world = await new World().prepared();
  const crashed = world.lock("dc1");
  await crashed.take(work);
  crashed.stop();
  const successor = world.lock("dc2");
  assert.equal(await successor.take(work), false);
  await world.clock.advance(14_000);
  assert.equal(await successor.take(work), false);
  assert.equal(crashed.isHeld(), false, "the old holder stopped believing first");
  await world.clock.advance(1_100);
  assert.equal(await successor.take(work), true);
});

test("who leads a site next goes on with what its site held, before another can", async () => {
  const world = await new World().prepared();
  const earlier = world.lock("dc1", "earlier");
  await earlier.take(work);
  earlier.stop();
  const next = world.lock("dc1", "next");
  assert.deepEqual(await next.refresh(), { heldByMe: true, holder: "dc1", ...work });
  await world.clock.advance(60_000);
  assert.equal(await world.lock("dc2").take(work), false);
});

test("the loss of one site of three keeps the lock, the loss of two ends it and says so", async () => {
  const world = await new World().prepared();
  const lock = world.lock("dc1");
  await lock.take(work);
  world.site("dc3").cut();
  await world.clock.advance(30_000);
  assert.equal(lock.isHeld(), true);
  world.site("dc2").cut();
  await world.clock.advance(30_000);
  assert.equal(lock.isHeld(), false);
  assert.equal(world.lost, 1);
});

test("nothing is sent under it that could arrive when another has it by then", async () => {
  const world = await new World().prepared();
  const [lock, other] = [world.lock("dc1"), world.lock("dc2")];
  await lock.take(work);
  await other.take(work);
  for (const name of names) world.broken.add(`dc1>${name}`);
  let sentAtMs = 0;
  for (let ms = 0; ms < 20_000; ms += 100) {
    if (lock.isHeld()) sentAtMs = world.clock.nowMs();
    if (await other.take(work)) break;
    await world.clock.advance(100);
  }
  assert.equal(world.holders()[0], "dc2");
  // A call may take so long (ports/connect.ts).
  assert.ok(world.clock.nowMs() - sentAtMs >= 5_000, `sent ${world.clock.nowMs() - sentAtMs} ms before`);
});

test("with two sites named as lost, the last one alone is the majority", async () => {
  const world = await new World().prepared();
  for (const name of ["dc1", "dc2"]) world.site(name).cut();
  const lock = world.lock("dc3");
  assert.equal(await lock.take(work), false);
  world.counting = ["dc3"];
  assert.equal(await lock.take(work), true);
});

test("a part that is not the majority is given back", async () => {
  const world = await new World().prepared();
  world.site("dc2").beforeRequest = (request) => {
    if (request.startsWith("update")) world.site("dc2").cut();
  };
  world.reachable.delete("dc3");
  assert.equal(await world.lock("dc1").take(work), false);
  assert.equal(world.holders()[0], undefined);
});

test("a Lease that somebody deletes is not ours any more", async () => {
  const world = await new World().prepared();
  const lock = world.lock("dc1");
  await lock.take(work);
  for (const name of ["dc2", "dc3"]) world.site(name).drop("Lease", "keyfleet-bank");
  await lock.refresh();
  assert.equal(lock.isHeld(), false);
});

const seed = Number(process.env.KEYFLEET_SEED ?? 20261124);

test(`operators that race, crash and lose links never hold it twice (KEYFLEET_SEED=${seed})`, async () => {
  for (let round = 0; round < 150; round++) await race(seed + round);
});

async function race(roundSeed: number): Promise<void> {
  const random = generator(roundSeed);
  const world = await new World().prepared();
  // Every request waits a random number of turns: the interleaving is another one each round.
  for (const site of world.sites.values()) site.beforeRequest = () => turns(Math.floor(random() * 4));
  let locks = names.map((site) => world.lock(site));
  let taken = 0;
  for (let step = 0; step < 12; step++) {
    const results = await Promise.all(locks.map((lock) => (random() < 0.7 ? lock.take(work) : lock.isHeld())));
    const holders = locks.filter((lock) => lock.isHeld());
    assert.ok(holders.length <= 1, `two holders in step ${step}, KEYFLEET_SEED=${roundSeed}`);
    taken += results.filter(Boolean).length;
    const victim = names[Math.floor(random() * 3)] as string;
    if (random() < 0.3) world.site(victim).cut();
    else world.site(victim).heal();
    const link = `${names[Math.floor(random() * 3)]}>${names[Math.floor(random() * 3)]}`;
    if (random() < 0.5) world.broken.add(link);
    else world.broken.clear();
    if (random() < 0.2) locks = locks.map((lock, at) => (names[at] === victim ? restarted(world, lock, victim) : lock));
    if (random() < 0.3) await holders[0]?.release();
    await world.clock.advance(Math.floor(random() * 9_000));
    assert.ok(
      locks.filter((lock) => lock.isHeld()).length <= 1,
      `two holders after step ${step}, KEYFLEET_SEED=${roundSeed}`,
    );
  }
  for (const lock of locks) lock.stop();
  assert.ok(taken > 0, `nobody ever got it, KEYFLEET_SEED=${roundSeed}`);
}

/** A crash: the old process is gone with all that it believed, a new one starts in its site. */
function restarted(world: World, lock: LeaseFleetLock, site: string): LeaseFleetLock {
  lock.stop();
  return world.lock(site, `${site}-${world.clock.nowMs()}`);
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Mulberry32: small, seeded, good enough to mix schedules. */
function generator(initial: number): () => number {
  let state = initial;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
