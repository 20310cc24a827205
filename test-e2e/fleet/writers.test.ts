import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { until } from "./await.ts";
import type { Place } from "./places.ts";
import { longestPause, startWriters } from "./writers.ts";

/** Writers whose client is this program, one at each of these places. */
function writersOf(t: TestContext, program: string, startAt: readonly string[]) {
  const clientCommand = (words: readonly string[]) => [process.execPath, "--eval", program, "--", ...words];
  const place = { certificates: "", sites: { names: [], clientCommand } } as unknown as Place;
  const call = { client: "kmip-go", endpoints: [], ca: "" } as const;
  const writers = startWriters(place, { endpoints: new Map(), call, name: "w", startAt });
  t.after(() => writers.stop());
  return writers;
}

const answer = `console.log(JSON.stringify({ id: "1", ms: 3 }));`;
const patience = { deadlineMs: 30_000, everyMs: 20 };

test("a client that breaks down has failed, though no request of it did", async (t) => {
  const writers = writersOf(t, `${answer} process.exitCode = 3;`, ["dc1"]);
  const look = async () => writers.failures().map(({ error }) => error);
  const seen = await until(look, (errors) => errors.length > 0, { what: "its end is told", ...patience });
  assert.deepEqual(seen, ["the client has ended by itself: 3"]);
});

test("a client that is told to end has not failed", async (t) => {
  const writers = writersOf(t, `${answer} setInterval(() => {}, 1_000);`, ["dc1"]);
  await writers.more(1, 30_000);
  await writers.stop();
  assert.deepEqual(writers.failures(), []);
});

test("a client that nobody answers is silent, however many keys the others make", async (t) => {
  const speaks = `process.argv.includes("w-dc1") && ${answer}`;
  const writers = writersOf(t, `${speaks} setInterval(() => {}, 1_000);`, ["dc1", "dc2"]);
  await writers.more(1, 30_000);
  await until(async () => writers.silentFor(300).includes("dc2"), Boolean, { what: "dc2 is silent", ...patience });
  assert.deepEqual(writers.silentFor(600_000), []);
  await writers.stop();
});

const pauses: readonly (readonly [what: string, times: readonly number[], longest: number])[] = [
  ["no answer", [], 0],
  ["one answer", [7], 0],
  ["answers of several clients in any order", [0, 800, 400, 2_000, 1_200], 800],
  ["nobody answered for more than a second", [0, 400, 1_900, 2_300], 1_500],
];
for (const [what, times, longest] of pauses)
  test(`how long nobody was answered: ${what}`, () => assert.equal(longestPause(times), longest));
