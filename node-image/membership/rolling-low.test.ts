import assert from "node:assert/strict";
import { test } from "node:test";
import { RollingLow } from "./rolling-low.ts";

test("single high measurements do not show, a lasting rise does within two minutes", () => {
  const low = new RollingLow();
  assert.equal(low.take("dc2-a", 3, 0), 3);
  assert.equal(low.take("dc2-a", 90, 1_000), 3);
  assert.equal(low.take("dc2-a", 90, 61_000), 3);
  assert.equal(low.take("dc2-a", 90, 122_000), 90);
});

test("peers do not mix, and a fall shows at once", () => {
  const low = new RollingLow();
  low.take("dc2-a", 3, 0);
  assert.equal(low.take("dc3-a", 40, 0), 40);
  assert.equal(low.take("dc3-a", 20, 1), 20);
});
