import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { serveHealth } from "./health-server.ts";
import { operatorMetrics } from "./metrics.ts";

test("livez and readyz tell what is wrong and who leads, metrics show leading, sites and locks", async () => {
  let ready = { ok: false, text: "not listed yet" };
  const metrics = operatorMetrics({
    leads: () => true,
    queueDepth: () => 3,
    sites: () => [{ site: "dc2", reachable: false, ageMs: 40_000, expiresAtMs: 1_000_000 }],
    locks: () => [{ cluster: "bank", held: true }],
  });
  const server = await serveHealth(0, {
    live: () => undefined,
    ready: () => ready,
    registry: metrics.registry,
  });
  try {
    const ask = async (path: string) => {
      const answer = await fetch(`http://127.0.0.1:${server.port}${path}`);
      return { status: answer.status, text: await answer.text() };
    };
    assert.deepEqual(await ask("/livez"), { status: 200, text: "ok" });
    assert.deepEqual(await ask("/readyz"), { status: 503, text: "not listed yet" });
    ready = { ok: true, text: "stands by; dc1-operator leads" };
    assert.deepEqual(await ask("/readyz"), { status: 200, text: "stands by; dc1-operator leads" });
    const { text } = await ask("/metrics");
    for (const line of [
      "keyfleet_operator_leading 1",
      "keyfleet_operator_queue_depth 3",
      'keyfleet_site_reachable{site="dc2"} 0',
      'keyfleet_site_last_answer_age_seconds{site="dc2"} 40',
      'keyfleet_site_credentials_expire_seconds{site="dc2"} 1000',
      'keyfleet_operator_lock_held{cluster="bank"} 1',
    ]) {
      assert.ok(text.includes(line), line);
    }
    assert.equal((await ask("/elsewhere")).status, 404);
  } finally {
    await server.stop();
  }
});

test("connections that say nothing do not keep a probe out, or the operator would be killed for them", async () => {
  const { registry } = operatorMetrics({ leads: () => true, queueDepth: () => 0, sites: () => [], locks: () => [] });
  const well = { live: () => undefined, ready: () => ({ ok: true, text: "leads" }), registry };
  const server = await serveHealth(0, well);
  const silent = Array.from({ length: 50 }, () => connect(server.port, "127.0.0.1").on("error", () => undefined));
  try {
    await Promise.all(silent.map((socket) => once(socket, "connect")));
    const answer = await fetch(`http://127.0.0.1:${server.port}/livez`, { signal: AbortSignal.timeout(2_000) });
    assert.equal(await answer.text(), "ok");
  } finally {
    for (const socket of silent) socket.destroy();
    await server.stop();
  }
});
