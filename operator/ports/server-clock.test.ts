import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { FakeClock } from "../testing/fake-clock.ts";
import { ServerClock } from "./server-clock.ts";

const noon = "Sun, 01 Mar 2026 12:00:00 GMT";

test("a server's clock is known as exactly as the way of its answer allows, and goes on between answers", async () => {
  const clock = new FakeClock();
  const server = new ServerClock(() => clock.monotonicMs());
  assert.equal(server.now(), undefined, "it has not answered yet");
  const sentMs = clock.monotonicMs();
  await clock.advance(200);
  server.answered(noon, sentMs);
  await clock.advance(5_000);
  // Written between 5.2 s and 5 s ago, at some time of that second.
  const noonMs = Date.parse(noon);
  assert.deepEqual(server.now(), { earliestMs: noonMs + 5_000, latestMs: noonMs + 6_200 });
});

for (const date of [undefined, "", "yesterday"])
  test(`an answer dated ${date} changes nothing`, () => {
    const server = new ServerClock(() => 0);
    server.answered(noon, 0);
    server.answered(date, 0);
    assert.equal(server.now()?.earliestMs, Date.parse(noon));
  });

test("the newest answer counts: a server's clock may be put right", () => {
  const server = new ServerClock(() => 0);
  server.answered("Sun, 08 Mar 2026 12:00:00 GMT", 0);
  server.answered(noon, 0);
  assert.equal(server.now()?.earliestMs, Date.parse(noon));
});

test("a real server's header is what it is made for", async (t) => {
  const server = http.createServer((_request, response) => response.end()).listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const clock = new ServerClock(() => performance.now());
  const sentMs = performance.now();
  const { headers } = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  clock.answered(headers.get("date") ?? undefined, sentMs);
  const { earliestMs, latestMs } = clock.now() ?? { earliestMs: Number.NaN, latestMs: Number.NaN };
  // node:http keeps the text of the header for up to a second, so that it may be a second late.
  assert.ok(earliestMs - 1 <= Date.now() && Date.now() <= latestMs + 1_000, `${earliestMs} ${Date.now()} ${latestMs}`);
});
