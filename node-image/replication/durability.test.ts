import assert from "node:assert/strict";
import { test } from "node:test";
import { DurabilityGate, goneMaxMs, silenceMaxMs as silenceMaxOf, stepDeadlineMs } from "./durability.ts";
import type { Durability, SiteStep } from "./types.ts";

const [a, b, c] = ["CN=dc2-a", "CN=dc2-b", "CN=dc3-a"] as const;
const members = 4;
const silenceMaxMs = silenceMaxOf(members);

/** A gate for two other sites, dc2 with two nodes and dc3 with one; time moves only by `pass`. */
function aGate(mode: Durability) {
  let now = 0;
  const steps: SiteStep[] = [];
  const gate = new DurabilityGate({ mode, nowMs: () => now, onStep: (step) => steps.push(step) });
  gate.setSites(
    new Map([
      ["dc2", [a, b]],
      ["dc3", [c]],
    ]),
    members,
  );
  const answered = new Set<number>();
  return {
    gate,
    steps,
    write: (head: number) => void gate.wait(head).then(() => answered.add(head)),
    answered: async () => {
      await new Promise(setImmediate);
      return [...answered];
    },
    pass: (ms: number) => {
      now += ms;
      gate.tick();
    },
  };
}

test("EverySite answers when a node of each other site holds the write", async () => {
  const { gate, write, answered } = aGate("EverySite");
  write(1);
  gate.acknowledged(a, 1);
  assert.deepEqual(await answered(), []);
  gate.acknowledged(c, 1);
  assert.deepEqual(await answered(), [1]);
});

test("EverySite does not add up nodes of one site that hold different parts", async () => {
  const { gate, write, answered } = aGate("EverySite");
  write(2);
  gate.acknowledged(c, 2);
  gate.acknowledged(a, 1);
  gate.acknowledged(b, 1);
  assert.deepEqual(await answered(), []);
  gate.acknowledged(b, 2);
  assert.deepEqual(await answered(), [2]);
});

test("OtherSite answers at the first site, Local at once", async () => {
  const other = aGate("OtherSite");
  other.write(1);
  assert.deepEqual(await other.answered(), []);
  other.gate.acknowledged(c, 1);
  assert.deepEqual(await other.answered(), [1]);
  const local = aGate("Local");
  local.write(1);
  assert.deepEqual(await local.answered(), [1]);
});

for (const mode of ["EverySite", "OtherSite"] as const) {
  test(`${mode}: with every other site gone the first writes are slow, all later ones are not, none is refused`, async () => {
    const { write, answered, pass, steps } = aGate(mode);
    write(1);
    pass(stepDeadlineMs - 1);
    write(2);
    assert.deepEqual(await answered(), []);
    pass(1);
    assert.deepEqual(await answered(), [1, 2]);
    write(3);
    assert.deepEqual(await answered(), [1, 2, 3]);
    assert.deepEqual(
      steps.map(({ site, inStep }) => [site, inStep]),
      [
        ["dc2", false],
        ["dc3", false],
      ],
    );
  });
}

test("a site that is silent is reported before anything is written", () => {
  const { gate, pass, steps } = aGate("EverySite");
  pass(silenceMaxMs);
  gate.acknowledged(c, 0);
  pass(1);
  assert.deepEqual(steps, [{ site: "dc2", inStep: false }]);
});

test("a site of which nobody is connected any more is reported sooner, one that connects again at once is not", () => {
  const { gate, pass, steps } = aGate("EverySite");
  gate.connected(new Set([b, c]));
  pass(goneMaxMs);
  gate.connected(new Set([a]));
  pass(goneMaxMs);
  gate.connected(new Set([a]));
  assert.deepEqual(steps, [{ site: "dc3", inStep: false }]);
  gate.acknowledged(c, 0);
  assert.deepEqual(steps.splice(1), [{ site: "dc3", inStep: true }]);
});

test("a site out of step counts again when it has caught up, not before", async () => {
  const { gate, write, answered, pass, steps } = aGate("EverySite");
  write(10);
  gate.acknowledged(c, 10);
  pass(stepDeadlineMs);
  assert.deepEqual(steps.splice(0), [{ site: "dc2", inStep: false }]);
  gate.acknowledged(a, 4);
  assert.deepEqual(steps, []);
  gate.acknowledged(a, 10);
  assert.deepEqual(steps, [{ site: "dc2", inStep: true }]);
  write(11);
  gate.acknowledged(c, 11);
  assert.deepEqual(await answered(), [10]);
  gate.acknowledged(b, 11);
  assert.deepEqual(await answered(), [10, 11]);
});

test("a site that was silent holds what was answered without it before it counts again", async () => {
  const { gate, write, answered, pass, steps } = aGate("EverySite");
  gate.acknowledged(a, 1);
  pass(silenceMaxMs - 1);
  gate.acknowledged(c, 1);
  write(2);
  pass(2);
  gate.acknowledged(c, 2);
  assert.deepEqual(await answered(), [2]);
  assert.deepEqual(steps.splice(0), [{ site: "dc2", inStep: false }]);
  gate.acknowledged(a, 1);
  assert.deepEqual(steps, [], "heard, but the write is younger than a second and not there");
  gate.acknowledged(a, 2);
  assert.deepEqual(steps, [{ site: "dc2", inStep: true }]);
});

test("no write is answered without a site that the same reading brings back", async () => {
  const { gate, write, answered, pass } = aGate("EverySite");
  pass(silenceMaxMs - 1);
  gate.acknowledged(c, 1);
  pass(2);
  write(2);
  gate.allAcknowledged([
    [c, 2],
    [a, 1],
  ]);
  assert.deepEqual(await answered(), []);
  gate.acknowledged(a, 2);
  assert.deepEqual(await answered(), [2]);
});

test("under steady writes a site is in step again when it lags less than a second", () => {
  const { gate, write, pass, steps } = aGate("EverySite");
  for (let head = 1; head <= 40; head += 1) {
    write(head);
    gate.acknowledged(c, head);
    pass(100);
  }
  assert.deepEqual(steps.splice(0), [{ site: "dc2", inStep: false }]);
  gate.acknowledged(a, 25);
  assert.deepEqual(steps, [], "1.5 s behind");
  gate.acknowledged(a, 35);
  assert.deepEqual(steps, [{ site: "dc2", inStep: true }], "half a second behind");
});

test("a site that leaves the fleet is no longer waited for", async () => {
  const { gate, write, answered } = aGate("EverySite");
  write(1);
  gate.acknowledged(c, 1);
  gate.setSites(new Map([["dc3", [c]]]), members);
  assert.deepEqual(await answered(), [1]);
});
