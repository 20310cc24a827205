import assert from "node:assert/strict";
import { test } from "node:test";
import { forgetFleet, operatorMetrics } from "./metrics.ts";

test("of a fleet that is gone no series is left, of the others all are", async () => {
  const sources = { leads: () => true, queueDepth: () => 0, sites: () => [], locks: () => [] };
  const metrics = operatorMetrics(sources);
  for (const cluster of ["bank", "gone"])
    for (const outcome of ["settled", "acted", "waiting", "blocked", "gone", "failed"]) {
      metrics.passes.inc({ cluster, outcome });
      metrics.passSeconds.observe({ cluster }, 1);
    }
  forgetFleet(metrics, "gone");
  const text = await metrics.registry.metrics();
  assert.equal(text.includes('cluster="gone"'), false);
  assert.equal(text.match(/passes_total\{cluster="bank"/g)?.length, 6);
});
