import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { aNode } from "../testing/facts.ts";
import { Clock } from "./clock.ts";

function aClock(context: TestContext) {
  const runFolder = mkdtempSync(join(tmpdir(), "keyfleet-clock-"));
  context.after(() => rmSync(runFolder, { recursive: true }));
  const logged: unknown[] = [];
  let nowMs = 0;
  const clock = new Clock({ runFolder, nowMs: () => nowMs, log: (...line) => logged.push(line) });
  const look = (servers: string[]) => {
    nowMs += 1_000;
    return clock.look(aNode({ settings: { ntp: { servers } } }));
  };
  return { runFolder, clock, look, logged };
}

test("servers that could not be written down for chrony are written as soon as there is room", async (context) => {
  const { runFolder, clock, look } = aClock(context);
  writeFileSync(join(runFolder, "chrony"), "stands where the folder should be");
  await look(["ntp1"]);
  assert.match(clock.problem ?? "", /^ntp\.servers: /);
  rmSync(join(runFolder, "chrony"));
  await look(["ntp1"]);
  assert.equal(clock.problem, undefined);
  assert.equal(existsSync(join(runFolder, "chrony/chrony.conf")), true);
});

for (const address of ["a b", "ntp1:99999", "ntp1:ntp"])
  test(`"${address}" is no server: that is told once, and ends no node`, async (context) => {
    const { clock, look, logged } = aClock(context);
    for (let time = 0; time < 20; time += 1) await look([address]);
    assert.match(clock.problem ?? "", /is no NTP server/);
    assert.deepEqual(clock.facts.servers, [{ address, reachable: false }]);
    assert.equal(logged.length, 1);
  });
