import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Fleet } from "../../node-image/testing/fleet.ts";
import { runKmipGoSuite } from "./kmip-go-suite.ts";

/** Checks on ovh/kmip-go, the strictest client there is about types, against a real node. */
let fleet: Fleet;
before(async () => {
  fleet = await Fleet.start();
  await fleet.add("dc1-a");
  await fleet.found("dc1-a");
});
after(() => fleet.stop());

const leastChecks: Readonly<Record<number, number>> = { 0: 33, 1: 33, 2: 36, 3: 36, 4: 38 };

for (const [minor, least] of Object.entries(leastChecks)) {
  test(`KMIP 1.${minor}: every check of the kmip-go suite holds`, async (context) => {
    const checks = await runKmipGoSuite(await fleet.access("dc1-a", "kmip-go"), Number(minor));
    const done = checks.filter(({ absent }) => absent === undefined);
    context.diagnostic(`${done.length} of ${checks.length} checks apply`);
    assert.deepEqual(
      checks.filter(({ error }) => error !== undefined),
      [],
    );
    assert.ok(done.length >= least - 4, `only ${done.length} checks ran`);
  });
}
