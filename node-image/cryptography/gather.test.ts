import assert from "node:assert/strict";
import { test } from "node:test";
import { keptSince, memoryUse } from "../testing/memory-use.ts";
import { gather, gatheredMaxBytes } from "./gather.ts";

test("data that come in many small parts take no more than a few times their bytes, empty ones nothing", async () => {
  const before = memoryUse();
  const gathered = gather();
  for (let at = 0; at < 100_000; at++) {
    gathered.add(Buffer.from([at & 0xff]));
    gathered.add(Buffer.alloc(0));
  }
  const kept = await keptSince(before, 400_000);
  assert.ok(kept <= 400_000, `${kept} bytes kept of 100,000`);
  assert.deepEqual([gathered.bytes(), gathered.take().length, gathered.bytes()], [100_000, 100_000, 0]);
});

test("parts come out as one, in their order, and of too many nothing is left", () => {
  const gathered = gather();
  for (const part of ["a", "bcd", "", "ef"]) gathered.add(Buffer.from(part));
  assert.equal(gathered.take().toString(), "abcdef");
  gathered.add(Buffer.alloc(gatheredMaxBytes));
  assert.throws(() => gathered.add(Buffer.alloc(1)), /at most/);
  assert.equal(gathered.bytes(), 0);
});
