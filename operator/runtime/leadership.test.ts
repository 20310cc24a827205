import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError, type KubernetesApi } from "../ports/kubernetes-api.ts";
import type { Clock } from "../ports/types.ts";
import { FakeClock } from "../testing/fake-clock.ts";
import { FakeCluster } from "../testing/fake-cluster.ts";
import { quietLog } from "../testing/quiet-log.ts";
import { generator, pick } from "../testing/random.ts";
import { Leadership, leaderLease, leaderLeaseMs, type Term } from "./leadership.ts";

/** What the design promises: from the loss of a leader until another one acts. */
const failoverMs = 15_000;

class World {
  readonly clock = new FakeClock();
  readonly site = new FakeCluster();
  readonly processes: Process[] = [];

  begin(identity: string): Process {
    const process = new Process(this, identity);
    this.processes.push(process);
    return process;
  }

  acting(): Process[] {
    return this.processes.filter(({ acts }) => acts);
  }

  /** Lets time pass in small steps; never two act. */
  async pass(ms: number, told = ""): Promise<void> {
    for (let passed = 0; passed < ms; passed += 100) {
      await this.clock.advance(100);
      assert.ok(this.acting().length <= 1, `two act ${told}`);
    }
  }

  /** Milliseconds until a process acts. */
  async until(process: Process): Promise<number> {
    const from = this.clock.monotonicMs();
    while (!process.acts) {
      assert.ok(this.clock.monotonicMs() - from < 60_000, "does not act within a minute");
      await this.pass(100);
    }
    return this.clock.monotonicMs() - from;
  }
}

/** An operator as far as leading goes. */
class Process {
  readonly leadership: Leadership;
  readonly log = quietLog();
  /** All its terms: one that is over must never be believed in again. */
  readonly terms: Term[] = [];
  ended = 0;
  /** It reaches the API server. */
  linked = true;
  #runs = true;
  readonly #due: (() => void)[] = [];

  constructor(world: World, identity: string) {
    const clock: Clock = {
      nowMs: () => world.clock.nowMs(),
      monotonicMs: () => world.clock.monotonicMs(),
      sinceBoot: () => world.clock.sinceBoot(),
      after: (delayMs, run) => world.clock.after(delayMs, () => (this.#runs ? run() : void this.#due.push(run))),
    };
    this.leadership = new Leadership({
      api: linkedApi(world.site, () => this.linked),
      identity,
      onBegin: (term) => this.terms.push(term),
      onEnd: () => {
        this.ended += 1;
      },
      clock,
      log: this.log,
    });
    this.leadership.start();
  }

  /** Whether it would change something now. */
  get acts(): boolean {
    return this.#runs && this.terms.some((term) => term.leftMs() > 0);
  }

  /** Its clock goes on, it does not. */
  pause(): void {
    this.#runs = false;
  }

  resume(): void {
    this.#runs = true;
    for (const run of this.#due.splice(0)) run();
  }
}

function linkedApi(site: FakeCluster, linked: () => boolean): KubernetesApi {
  return new Proxy<KubernetesApi>(site, {
    get: (target, name) => {
      const member = Reflect.get(target, name) as unknown;
      if (typeof member !== "function") return member;
      if (linked() || name === "reconnect") return member.bind(target);
      return () => Promise.reject(new ApiError("unreachable", "no answer within 2000 ms"));
    },
  });
}

async function leaderAndStandby(): Promise<{ world: World; leader: Process; standby: Process }> {
  const world = new World();
  const leader = world.begin("a");
  await world.until(leader);
  const standby = world.begin("b");
  await world.pass(5_000);
  return { world, leader, standby };
}

test("a Lease that has lapsed and cannot be read is asked for twice a second at most", async () => {
  const { world, leader } = await leaderAndStandby();
  leader.pause();
  let asked = 0;
  world.site.beforeRequest = () => {
    asked += 1;
    throw new ApiError("failed", "etcd has no leader");
  };
  await world.pass(60_000);
  assert.ok(asked <= 120, `${asked} requests in a minute`);
});

test("one leads, the other stands by and writes nothing", async () => {
  const { world, leader, standby } = await leaderAndStandby();
  await world.pass(60_000);
  assert.deepEqual([leader.acts, standby.acts, leader.terms.length], [true, false, 1]);
  assert.equal(standby.leadership.holder, "a");
  const lease = world.site.peek("Lease", leaderLease)?.spec as { holderIdentity: string; leaseTransitions: number };
  assert.deepEqual([lease.holderIdentity, lease.leaseTransitions], ["a", 1]);
});

const losses: readonly [string, (leader: Process) => void][] = [
  ["is killed", (leader) => leader.pause()],
  [
    "is cut off",
    (leader) => {
      leader.linked = false;
    },
  ],
];
for (const [what, lose] of losses) {
  test(`a leader that ${what} is followed within 15 s, and never acts again in that term`, async () => {
    for (let early = 0; early < 2_000; early += 300) {
      const { world, leader, standby } = await leaderAndStandby();
      await world.pass(early);
      lose(leader);
      assert.ok((await world.until(standby)) < failoverMs - 2_000, "leaves 2 s to list what there is");
      leader.linked = true;
      leader.resume();
      await world.pass(30_000);
      assert.deepEqual([leader.acts, standby.acts, leader.ended, leader.terms[0]?.leftMs()], [false, true, 1, 0]);
    }
  });
}

test("a leader that gives up is followed at its follower's next look", async () => {
  const { world, leader, standby } = await leaderAndStandby();
  leader.leadership.stop();
  await leader.leadership.giveUp();
  assert.equal(leader.acts, false);
  assert.ok((await world.until(standby)) <= 2_100);
});

test("a short silence of the API server does not end a term", async () => {
  const { world, leader } = await leaderAndStandby();
  leader.linked = false;
  await world.pass(4_000);
  leader.linked = true;
  await world.pass(20_000);
  assert.deepEqual([leader.acts, leader.terms.length, leader.ended], [true, 1, 0]);
});

test("when the API server comes back the earlier leader leads in a new term at once", async () => {
  const world = new World();
  const leader = world.begin("a");
  await world.until(leader);
  leader.linked = false;
  await world.pass(60_000);
  assert.deepEqual([leader.acts, leader.ended], [false, 1]);
  leader.linked = true;
  assert.ok((await world.until(leader)) <= 1_000);
  assert.deepEqual([leader.terms.length, leader.terms[0]?.leftMs()], [2, 0]);
});

test("who has the name of an ended process leads at once, as a container that was started again in its pod", async () => {
  const { world, leader } = await leaderAndStandby();
  leader.pause();
  assert.ok((await world.until(world.begin("a"))) <= 1_000);
});

test("a renewal whose answer was lost is not taken for another's", async () => {
  const { world, leader } = await leaderAndStandby();
  let lose = true;
  const update = world.site.update.bind(world.site);
  world.site.update = async (object) => {
    const answer = await update(object);
    if (!lose) return answer;
    lose = false;
    throw new ApiError("unreachable", "no answer within 2000 ms");
  };
  await world.pass(30_000);
  assert.deepEqual([lose, leader.acts, leader.terms.length], [false, true, 1]);
});

test("when somebody deletes the Lease, nobody else leads before its holder knows", async () => {
  const { world, leader, standby } = await leaderAndStandby();
  leader.linked = false;
  world.site.drop("Lease", leaderLease);
  assert.ok((await world.until(standby)) >= leaderLeaseMs - 2_500);
});

const seed = Number(process.env.KEYFLEET_SEED ?? 20261125);

test(`whatever is paused, cut off, killed and begun, never two act (KEYFLEET_SEED=${seed})`, async () => {
  let terms = 0;
  for (let round = seed; round < seed + 60; round++) terms += await schedule(round);
  assert.ok(terms > 120, `${terms} terms`);
});

async function schedule(roundSeed: number): Promise<number> {
  const random = generator(roundSeed);
  const world = new World();
  world.site.beforeRequest = async () => {
    for (let turns = Math.floor(random() * 3); turns > 0; turns--) await new Promise((go) => setImmediate(go));
  };
  for (const identity of ["a", "b", "c"]) world.begin(identity);
  await world.pass(3_000); // a process that never saw a Lease takes a deleted one for one that never was
  const harms: readonly ((process: Process) => void)[] = [
    (process) => process.pause(),
    (process) => process.resume(),
    (process) => {
      process.linked = false;
    },
    (process) => {
      process.linked = true;
    },
    (process) => void process.leadership.giveUp(),
    () => world.site.drop("Lease", leaderLease),
  ];
  for (let step = 0; step < 20; step++) {
    pick(random, harms)(pick(random, world.processes));
    await world.pass(Math.floor(random() * 6_000), `in step ${step}, KEYFLEET_SEED=${roundSeed}`);
  }
  for (const process of world.processes) {
    process.linked = true;
    process.resume();
  }
  await world.pass(15_000, `at the end, KEYFLEET_SEED=${roundSeed}`);
  assert.equal(world.acting().length, 1, `one leads in the end, KEYFLEET_SEED=${roundSeed}`);
  return world.processes.reduce((sum, { terms }) => sum + terms.length, 0);
}
