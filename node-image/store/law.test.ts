import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { seeded, shuffled } from "../testing/random.ts";
import { join, nothing, type Register, type Stamp, type State } from "./law.ts";
import { decodeState, encodeState } from "./state.ts";

const rounds = 2_000;
const origins = ["0a", "5f", "a0", "ff"].map((end) => `00000000-0000-4000-8000-0000000000${end}`);
// Names and texts that a careless codec would lose.
const names = ["Name", "x-a", "__proto__", "constructor", "1", "-0", 'q"\\', "\u2028é"];

// What one operation says depends on its stamp alone, as in the log, where no two operations share one.
function stateOf(stamp: Stamp, random: (below: number) => number): State {
  const attributes = new Map<string, Register>();
  for (const name of names)
    if (random(4) === 0)
      attributes.set(name, { stamp, value: random(5) === 0 ? null : [random(9), { b: [], a: "\ud83d\ude00" }] });
  const owner = ["CN=one", "CN=two"][random(2)] as string;
  const born = random(3) === 0 ? { stamp, owner, objectType: random(9), sealedDigest: `${random(99)}` } : undefined;
  return { born, facts: random(16), attributes };
}

function someStates(seed: number, count: number): State[] {
  const random = seeded(seed);
  const seen = new Set<string>();
  return Array.from({ length: count }, () => {
    // Few different clocks, so that incarnations decide often; and clocks of different length.
    const stamp = { hlc: `${[9, 10, 99, 100, 1_000][random(5)]}`, origin: origins[random(origins.length)] as string };
    if (seen.has(stamp.hlc + stamp.origin)) return nothing;
    seen.add(stamp.hlc + stamp.origin);
    return stateOf(stamp, random);
  });
}

const text = encodeState;
const firstSeed = randomInt(2 ** 31);
console.log(`law: seeds ${firstSeed} to ${firstSeed + rounds - 1}`);

const laws: readonly (readonly [string, (states: readonly [State, State, State]) => void])[] = [
  ["commutative", ([a, b]) => assert.equal(text(join(a, b)), text(join(b, a)))],
  ["associative", ([a, b, c]) => assert.equal(text(join(join(a, b), c)), text(join(a, join(b, c))))],
  ["idempotent", ([a]) => assert.equal(text(join(a, a)), text(a))],
  ["with nothing unchanged", ([a]) => assert.equal(text(join(nothing, a)), text(a))],
  ["never forgetful of a fact", ([a, b]) => assert.equal(join(a, b).facts, a.facts | b.facts)],
  [
    "the same after being written and read",
    ([a, b]) => assert.deepEqual(decodeState(text(join(a, b))), sorted(join(a, b))),
  ],
];

// Maps compare in the order of their keys, and text holds them sorted.
function sorted(state: State): State {
  return { ...state, attributes: new Map([...state.attributes].sort(([one], [other]) => (one < other ? -1 : 1))) };
}

for (const [sentence, holds] of laws) {
  test(`merging is ${sentence}`, () => {
    for (let seed = firstSeed; seed < firstSeed + rounds; seed += 1) {
      const [a, b, c] = someStates(seed, 3) as [State, State, State];
      try {
        holds([a, b, c]);
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  });
}

test("any order and any repetition of many operations ends in the same state", () => {
  for (let seed = firstSeed; seed < firstSeed + rounds / 10; seed += 1) {
    const states = someStates(seed, 12);
    const random = seeded(seed + 1);
    const once = text(states.reduce(join, nothing));
    const again = shuffled([...states, ...states.slice(0, 5)], random);
    assert.equal(text(again.reduce(join, nothing)), once, `seed ${seed}`);
  }
});

test("what newer software wrote is not read as something else", () => {
  assert.equal(decodeState(text(nothing).replace('"v":1', '"v":2')), undefined);
});
