import "./instance.ts";

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { attack, type Treatment } from "../fleet/hostile-clients.ts";
import { ask, type ClientName } from "../fleet/kmip-clients.ts";
import { startWriters, type Writers } from "../fleet/writers.ts";
import { aRunningFleet, type Fleet, first, place } from "./world.ts";

/** A client that behaves, at the same node, all the time. */
const servedWithinMs = 5_000;
const node = `${first}-a`;
let fleet: Fleet;
let endpoint: string;
let good: Writers;

before(async () => {
  fleet = await aRunningFleet();
  endpoint = fleet.endpoints.get(node) ?? "";
  const name = `good-${Date.now()}`;
  const only = new Map([[node, endpoint]]);
  good = startWriters(place, { endpoints: only, call: fleet.call, name, startAt: [node], seconds: 600 });
  await good.more(10);
});
after(() => good?.stop());

for (const client of ["PyKMIP", "kmip-go"] as const satisfies readonly ClientName[])
  for (const certificate of ["foreign", "expired"])
    test(`${client} with a certificate that is ${certificate} gets nothing`, async () => {
      const call = { ...fleet.call, client, as: certificate, endpoints: [endpoint] };
      const [answer] = await ask(place, call, ["--name", `${certificate}-${client}`, "create"]);
      assert.equal(answer?.id, undefined);
      assert.ok(answer?.error);
      await good.more(5);
    });

const closings: readonly { mode: string; what: string; answered: boolean }[] = [
  { mode: "no-certificate", what: "no certificate", answered: false },
  { mode: "garbage", what: "garbage instead of TTLV", answered: true },
  { mode: "too-long", what: "a message over the limit", answered: true },
  { mode: "stalls", what: "half a message and then silence", answered: true },
];
for (const { mode, what, answered } of closings)
  test(`a client with ${what} is closed, and nobody else is harmed`, async (t) => {
    const got = await attack(place, mode, endpoint);
    t.diagnostic(JSON.stringify(got));
    assert.equal(got.closed, true);
    if (!answered) assert.equal(got.bytes, 0);
    await good.more(5);
  });

test("ten thousand half-open connections: a client that behaves is served all the while", async (t) => {
  const before = good.count();
  let got: Treatment | undefined;
  const attacking = attack(place, "half-open", endpoint).then((treatment) => {
    got = treatment;
  });
  while (got === undefined) await good.more(3, 30_000);
  await attacking;
  t.diagnostic(`${JSON.stringify(got)}; meanwhile ${good.count() - before} keys, slowest ${good.slowestMs()} ms`);
  assert.equal((got.opened ?? 0) + (got.refused ?? 0), 10_000);
  assert.ok((got.closedByServer ?? 0) > 0, "the server bounds connections that say nothing");
  const another = { ...fleet.call, client: "PyKMIP" as const, as: "app2", endpoints: [endpoint] };
  const [made] = await ask(place, another, ["--name", `app2-${Date.now()}`, "create"]);
  assert.equal(made?.error, undefined);
});

test("in all that time no request of the client that behaves failed or waited long", () => {
  assert.deepEqual(good.failures(), []);
  assert.ok(good.slowestMs() <= servedWithinMs, `the slowest took ${good.slowestMs()} ms`);
});
