import assert from "node:assert/strict";
import { test } from "node:test";
import { fetchMaxMs, Gossip, stalledMs } from "./gossip.ts";

const origin = "a0000000-0000-4000-8000-000000000001";

/** A log that stands still here, and peers that have more of it. */
async function aStalledLog() {
  const clock = { ms: 0 };
  const gossip = new Gossip(() => clock.ms);
  const fetched: string[] = [];
  /** The peer is looked at; its answers come when what this returns is called. */
  const look = (peer: string, mine = 0) => {
    const answer = Promise.withResolvers<void>();
    void gossip.consider(origin, { mine, theirs: 100 }, () => {
      fetched.push(peer);
      return answer.promise;
    });
    return answer.resolve;
  };
  look("first");
  clock.ms += stalledMs;
  return { clock, fetched, look };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("a log that stands still is fetched by one link at a time", async () => {
  const { fetched, look } = await aStalledLog();
  const answered = look("first");
  look("second");
  assert.deepEqual(fetched, ["first"]);
  answered();
  await settled();
  look("second");
  assert.deepEqual(fetched, ["first", "second"]);
});

test("a peer that sends it as slowly as it can keeps others from it for some seconds, also when a little has come", async () => {
  const { clock, fetched, look } = await aStalledLog();
  look("slow");
  clock.ms += fetchMaxMs - 1;
  look("second");
  assert.deepEqual(fetched, ["slow"]);
  // The first look that sees that a little has come counts from then on.
  look("second", 1);
  clock.ms += stalledMs;
  look("second", 1);
  assert.deepEqual(fetched, ["slow", "second"]);
});

test("who was too slow takes nobody's turn away when it is done", async () => {
  const { clock, fetched, look } = await aStalledLog();
  const answered = look("slow");
  clock.ms += fetchMaxMs;
  look("second");
  answered();
  await settled();
  look("third");
  assert.deepEqual(fetched, ["slow", "second"]);
});
