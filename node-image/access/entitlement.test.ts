import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json } from "../objects/types.ts";
import {
  granting,
  heldStatements,
  holds,
  isSuspended,
  lifting,
  type RowChanges,
  type Rows,
  recordId,
  suspending,
  withdrawalsMax,
  withdrawing,
} from "./entitlement.ts";

const statement = "Get user:CN=a b,issuer(CN=c)";

function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Rows as they merge: last writer by stamp. */
class Replica {
  readonly #rows = new Map<string, { stamp: number; value: Json[] }>();

  get rows(): Rows {
    return new Map([...this.#rows].map(([name, { value }]) => [name, value]));
  }

  merge(changes: RowChanges, stamp: number): void {
    for (const [name, value] of Object.entries(changes)) {
      const present = this.#rows.get(name);
      if (present === undefined || present.stamp < stamp) this.#rows.set(name, { stamp, value });
    }
  }
}

const cases: readonly (readonly [string, (one: Replica, other: Replica) => [RowChanges, RowChanges], boolean])[] = [
  [
    "a withdrawal beats a grant that did not know of it",
    (_, other) => [withdrawing(statement, "t1"), granting(other.rows, statement, 5_000)],
    false,
  ],
  [
    "two grants at once are one",
    (one, other) => [granting(one.rows, statement, 7_000), granting(other.rows, statement, 7_000)],
    true,
  ],
  ["two withdrawals at once are one", () => [withdrawing(statement, "t1"), withdrawing(statement, "t2")], false],
];

for (const [sentence, both, expected] of cases) {
  for (const late of [0, 1]) {
    test(`${sentence}, whichever has the later clock (${late})`, () => {
      const replicas = [new Replica(), new Replica()] as const;
      for (const replica of replicas) replica.merge(granting(new Map(), statement, undefined), 1);
      const changes = both(...replicas);
      for (const replica of replicas)
        for (const [at, change] of changes.entries()) replica.merge(change, 10 + Math.abs(at - late));
      for (const { rows } of replicas) assert.equal(holds(rows, statement, 100), expected);
    });
  }
}

test("granting again after a withdrawal that is known of holds, and can be withdrawn again", () => {
  const replica = new Replica();
  for (let round = 0; round < withdrawalsMax; round += 1) {
    replica.merge(granting(replica.rows, statement, undefined), 2 * round);
    assert.ok(holds(replica.rows, statement, 0));
    replica.merge(withdrawing(statement, `t${round}`), 2 * round + 1);
    assert.ok(!holds(replica.rows, statement, 0));
  }
  assert.throws(() => granting(replica.rows, statement, undefined), RangeError);
});

test("what is granted already is not written again; another end is", () => {
  const replica = new Replica();
  replica.merge(granting(replica.rows, statement, 50), 1);
  assert.deepEqual(granting(replica.rows, statement, 50), {});
  replica.merge(granting(replica.rows, statement, 70), 2);
  assert.deepEqual([...heldStatements(replica.rows, 60)], [[statement, 70]]);
  replica.merge(granting(replica.rows, statement, 10), 3);
  assert.ok(!holds(replica.rows, statement, 10), "an end that is brought forward acts");
});

test("a suspension that is made while another is lifted stays", () => {
  const [one, other] = [new Replica(), new Replica()];
  for (const replica of [one, other]) replica.merge(suspending("t1"), 1);
  const [lift, again] = [lifting(one.rows), suspending("t2")];
  for (const replica of [one, other]) {
    replica.merge(again, 2);
    replica.merge(lift, 3);
    assert.ok(isSuspended(replica.rows));
    replica.merge(lifting(replica.rows), 4);
    assert.ok(!isSuspended(replica.rows));
  }
});

const seeds = Array.from({ length: 300 }, (_, at) => at + 1);

test(`any order of the same changes makes the same rights, and no withdrawal is lost (seeds 1 to ${seeds.length})`, () => {
  for (const seed of seeds) play(seed);
});

/** Three replicas grant and withdraw, and hear of each other late. Each change knows what its maker has heard. */
function play(seed: number): void {
  const random = seeded(seed);
  const replicas = [new Replica(), new Replica(), new Replica()];
  const statements = [statement, "Get user:CN=a", "role auditor"];
  const log: { change: RowChanges; stamp: number; what: string; grant: boolean; heard: ReadonlySet<number> }[] = [];
  const heard = replicas.map(() => new Set<number>());
  const deliver = (to: number, { change, stamp }: (typeof log)[number]) => {
    replicas[to]?.merge(change, stamp);
    heard[to]?.add(stamp);
  };
  for (let stamp = 1; stamp <= 60; stamp += 1) {
    const at = random(3);
    const what = statements[random(3)] as string;
    const grant = random(2) === 0;
    const { rows } = replicas[at] as Replica;
    const change = grant ? granting(rows, what, undefined) : withdrawing(what, `t${stamp}`);
    log.push({ change, stamp, what, grant, heard: new Set(heard[at]) });
    deliver(at, log.at(-1) as (typeof log)[number]);
    deliver(random(3), log[random(log.length)] as (typeof log)[number]);
  }
  for (const [to] of replicas.entries()) {
    const order = log.map((each) => [random(1_000), each] as const).sort(([one], [other]) => one - other);
    for (const [, each] of order) deliver(to, each);
  }
  const expected = statements.filter((what) => {
    const withdrawals = log.filter((each) => each.what === what && !each.grant);
    const grants = log.filter((each) => each.what === what && each.grant);
    // The law in words: there is a grant, and each withdrawal was known to a grant that came after it.
    return grants.length > 0 && withdrawals.every(({ stamp }) => grants.some(({ heard: known }) => known.has(stamp)));
  });
  for (const { rows } of replicas) {
    assert.deepEqual([...heldStatements(rows, 0).keys()].sort(), expected.sort(), `seed ${seed}`);
  }
}

test("records have identifiers that are UUIDs, each name its own", () => {
  const ids = [recordId("user", "a"), recordId("group", "a"), recordId("user", "b")];
  assert.equal(new Set(ids).size, 3);
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
});
