import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesPerMsMin, Patience, patienceMs } from "./patience.ts";

const pageBytes = 1_048_576;
const secondMs = 1_000;

/** A peer whose answers take so long and bring so much, one after another. */
async function asked(answers: number, everyMs: number, bytes: number) {
  const clock = { ms: 5 };
  const patience = new Patience(() => clock.ms);
  for (let count = 0; count < answers; count += 1) await answered(patience, clock, { everyMs, bytes });
  return { patience, clock };
}

async function answered(
  patience: Patience,
  clock: { ms: number },
  { everyMs, bytes }: { readonly everyMs: number; readonly bytes: number },
): Promise<void> {
  const answer = Promise.withResolvers<void>();
  const waiting = patience.over(answer.promise);
  clock.ms += everyMs;
  answer.resolve();
  await waiting;
  patience.came(bytes);
}

const cases: readonly (readonly [
  sentence: string,
  answers: number,
  everyMs: number,
  bytes: number,
  isOver: boolean,
])[] = [
  ["a page each two seconds, a thousand times", 1_000, 2 * secondMs, pageBytes, false],
  ["an object each two seconds, 29 times", 29, 2 * secondMs, 500, false],
  ["an object each two seconds, 31 times", 31, 2 * secondMs, 500, true],
  ["a page each 50 seconds, once", 1, 50 * secondMs, pageBytes, false],
  ["a page each 50 seconds, three times", 3, 50 * secondMs, pageBytes, true],
  ["nothing for a minute and a bit", 1, patienceMs + 1, 0, true],
];
for (const [sentence, answers, everyMs, bytes, isOver] of cases) {
  test(`a peer that sends ${sentence} ${isOver ? "has had its time" : "is waited for"}`, async () =>
    assert.equal((await asked(answers, everyMs, bytes)).patience.isOver, isOver));
}

test("what this node does itself between two answers is not the peer's time", async () => {
  const { patience, clock } = await asked(1, secondMs, 500);
  clock.ms += 10 * patienceMs;
  await answered(patience, clock, { everyMs: secondMs, bytes: 500 });
  assert.equal(patience.isOver, false);
});

test("two answers that are waited for at once take their time once", async () => {
  const clock = { ms: 0 };
  const patience = new Patience(() => clock.ms);
  const [one, other] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const both = [patience.over(one.promise), patience.over(other.promise)];
  clock.ms = 0.6 * patienceMs;
  one.resolve();
  await both[0];
  other.resolve();
  await both[1];
  assert.equal(patience.isOver, false);
});

test("a peer that fails at once, each time, has had its time as well; then it gets twice as much", () => {
  const patience = new Patience(() => 0);
  const triesMs = (most: number) => {
    for (let ms = 0; ms < most; ms += secondMs) {
      if (patience.isOver) return ms;
      patience.lost(secondMs);
    }
    return most;
  };
  const first = triesMs(100 * patienceMs);
  patience.renew();
  patience.came(secondMs * bytesPerMsMin);
  assert.deepEqual([first, triesMs(100 * patienceMs)], [patienceMs + secondMs, 2 * patienceMs + 2 * secondMs]);
});
