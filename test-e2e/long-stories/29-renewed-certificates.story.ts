import "../stories/instance.ts";

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { until } from "../fleet/await.ts";
import { conditionOf, endpointOf, nodesAt } from "../fleet/fleet.ts";
import { endedSince, livesOf, podsOf } from "../fleet/lives.ts";
import { underLoad } from "../fleet/load.ts";
import { ageCertificate, certificateOf } from "../fleet/node-certificate.ts";
import { shownAt } from "../fleet/server-certificate.ts";
import { aSmallFleet, type Fleet, place } from "../stories/world.ts";

const dayMs = 24 * 3_600_000;

let fleet: Fleet;
before(async () => {
  fleet = await aSmallFleet({ atAnyVersion: true });
});

for (const time of ["first", "second"])
  test(`certificates with a day left of thirty are renewed, the ${time} time: nothing is restarted, no node is away, no request fails`, async (t) => {
    const load = await underLoad(place, fleet, "renewal", { mostAway: 0 });
    t.after(() => load.cancel());
    const lives = await livesOf(place, podsOf.nodes);
    const operators = await livesOf(place, podsOf.operators);
    for (const node of fleet.nodes) await renewed(node);
    await load.more(60);
    await load.end((line) => t.diagnostic(line));
    assert.deepEqual(await endedSince(place, podsOf.nodes, lives), []);
    assert.deepEqual(await endedSince(place, podsOf.operators, operators), []);
  });

/** Ages the certificate of a node; waits until its operator has signed another, and clients and peers are shown that. */
async function renewed(node: Fleet["nodes"][number]): Promise<void> {
  const { name } = node.metadata;
  const before = await certificateOf(place, node);
  const aged = await ageCertificate(place, node);
  assert.ok(aged.validToDate.getTime() - Date.now() < 2 * dayMs);
  const old = [before.serialNumber, aged.serialNumber];
  const renewedOnce = await until(
    async () => certificateFacts(await certificateOf(place, node)),
    ({ serial }) => !old.includes(serial),
    { what: `${name} has another certificate`, deadlineMs: 120_000 },
  );
  assert.ok(renewedOnce.leftMs > 29 * dayMs, `${name}: ${renewedOnce.leftMs} ms left`);
  const shown = () => shownAt(place, endpointOf(node.spec));
  const isNew = (fingerprint: string) => fingerprint === renewedOnce.fingerprint;
  await until(shown, isNew, { what: `${name} shows it to clients`, deadlineMs: 120_000, everyMs: 1_000 });
  const says = async () =>
    (await nodesAt(place, node.spec.site)).map(({ status }) => conditionOf(status, "Certificates"));
  const valid = (seen: Awaited<ReturnType<typeof says>>) => seen.every((condition) => condition?.reason === "Valid");
  await until(says, valid, { what: `${name} says that it is valid`, deadlineMs: 120_000 });
}

function certificateFacts({ serialNumber, fingerprint256, validToDate }: Awaited<ReturnType<typeof certificateOf>>) {
  return { serial: serialNumber, fingerprint: fingerprint256, leftMs: validToDate.getTime() - Date.now() };
}
