import assert from "node:assert/strict";
import { test } from "node:test";
import { aCluster } from "./testing/builders.ts";
import { requestsFor } from "./testing/certificate-requests.ts";
import { Simulation } from "./testing/simulation.ts";

/** Set KEYFLEET_SEEDS to run more; a failing seed is named by its test. */
const seeds = Number(process.env.KEYFLEET_SEEDS ?? 2);
const faultySteps = 400;
const mostHealthySteps = 3_000;

const cluster = aCluster();
const requests = requestsFor(cluster);

for (let seed = 1; seed <= seeds; seed++) {
  test(`seed ${seed}: whatever crashes and is cut off, six nodes serve in the end, one joined at a time, and then nothing is written`, async () => {
    const world = new Simulation(seed, cluster, requests);
    for (let step = 0; step < faultySteps; step++) await world.step(true);
    world.heal();
    let steps = 0;
    while (world.serving() < 6 && steps++ < mostHealthySteps) await world.step(false);
    assert.equal(world.serving(), 6, world.describe());
    for (let step = 0; step < 300; step++) await world.step(false);
    const writes = world.writes();
    for (let round = 0; round < 3; round++)
      for (const site of world.sites) assert.equal((await world.pass(site))?.outcome, "settled", world.describe());
    for (let step = 0; step < 60; step++) await world.step(false);
    assert.equal(world.writes(), writes, "an idle fleet writes nothing");
    assert.deepEqual(
      world.sites.map(({ cluster: { status } }) => [status?.nodes, status?.message]),
      Array(3).fill(["6/6", "all nodes serve"]),
    );
  });
}
