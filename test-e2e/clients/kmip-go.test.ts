import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Fleet } from "../../node-image/testing/fleet.ts";
import { tap } from "../../node-image/testing/tap.ts";
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

test("every check holds where the messages are listened to: the search at the fleet's end learns kmip-go's keys", async () => {
  const way = await tap(await fleet.access("dc1-a", "tapped"));
  const checks = await runKmipGoSuite(way.access, 4);
  way.close();
  assert.deepEqual(
    checks.filter(({ error }) => error !== undefined),
    [],
  );
  assert.ok(way.messages() > 100, `${way.messages()} messages`);
});
