import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { connect } from "node:tls";
import { Fleet } from "../../node-image/testing/fleet.ts";
import type { FleetNode } from "../../node-image/testing/fleet-node.ts";
import type { KmipClient } from "../../node-image/testing/kmip-client.ts";
import { startTimeServer } from "../../node-image/testing/time-server.ts";
import { Writers } from "../../node-image/testing/writers.ts";

/** Nodes as on machines without Kubernetes: real PostgreSQL, SoftHSM, chrony; the story plays the operator. */
let fleet: Fleet;
const first: string[] = [];
before(async () => {
  fleet = await Fleet.start();
});
after(() => fleet.stop());

test("a node founds a fleet and serves keys", async () => {
  await fleet.add("dc1-a");
  await fleet.found("dc1-a");
  const client = await fleet.connect("dc1-a");
  for (let count = 0; count < 20; count += 1) first.push(await client.create());
  assert.equal((await client.get(first[0] ?? "")).length, 32);
  client.close();
  assert.equal((await fetch(`${fleet.node("dc1-a").healthUrl}/readyz`)).status, 200);
});

test("nodes join one by one, each by another sponsor, and hold the same keys", async () => {
  await Promise.all([fleet.add("dc2-a"), fleet.add("dc3-a")]);
  await fleet.join("dc2-a", "dc1-a");
  await fleet.join("dc3-a", "dc2-a");
  await sameEverywhere(first);
  const { peers } = await fleet
    .node("dc3-a")
    .reached("all peers", (status) => status.peers?.every((peer) => peer.connected) && status);
  assert.deepEqual(
    peers?.map((peer) => peer.tlsGroup),
    ["X25519MLKEM768", "X25519MLKEM768"],
  );
});

for (const program of ["keyServer", "postgres", "hsm", "time"] as const) {
  test(`kill -9 of ${program}: the node comes back by itself and nothing acknowledged is lost`, async () => {
    const node = fleet.node("dc2-a");
    const writers = await Writers.start(fleet, ["dc1-a", "dc2-a"]);
    await writers.wrote(20);
    assert.ok(node.kill(program) > 0);
    await writers.wrote(20, "dc1-a");
    await writers.wrote(20, "dc2-a");
    await sameEverywhere(await writers.stop());
  });
}

test("a power cut of a whole node: the others write on, it comes back equal", async () => {
  const node = fleet.node("dc3-a");
  const writers = await Writers.start(fleet, ["dc1-a", "dc3-a"]);
  await writers.wrote(20);
  await node.killAll();
  await writers.wrote(20, "dc1-a");
  node.start();
  await writers.wrote(20, "dc3-a");
  await sameEverywhere(await writers.stop());
});

test("a new certificate is used at once, and open connections stay", async () => {
  const node = fleet.node("dc1-a");
  const client = await fleet.connect("dc1-a");
  const before = await serialOf(node);
  await fleet.certify(node);
  for (let left = 100; (await serialOf(node)) === before && left > 0; left -= 1) await pause(100);
  assert.notEqual(await serialOf(node), before);
  assert.equal((await client.get(first[0] ?? "")).length, 32);
  // The mesh goes on with it too: a write is answered only after the other sites hold it.
  await sameEverywhere([...first, await client.create()]);
  client.close();
});

test("a node without its HSM refuses to join and says why; with it, it joins", async () => {
  const node = await fleet.add("dc4-a");
  await node.reached("a join key", (status) => status.joinPublicKey);
  const { hsm } = node.spec.settings;
  node.edit({ settings: { ...node.spec.settings, hsm: { ...hsm, library: "/usr/lib/no-such-hsm.so" } } });
  const lost = await node.reachedCondition("RootOfTrust", "False", "LibraryMissing");
  assert.match(lost.message, /no-such-hsm/);
  await fleet.beginJoin("dc4-a", "dc1-a");
  await node.reachedCondition("Serving", "False", "RootOfTrustUnavailable");
  node.edit({ settings: { ...node.spec.settings, hsm: hsm ?? {} } });
  await node.reachedCondition("RootOfTrust", "True");
});

test("a node with a clock beyond the bound refuses to join and says why; with a right one, it goes on", async () => {
  const node = fleet.node("dc4-a");
  await node.reachedCondition("Replicating", "True", "CaughtUp");
  const late = await fleet.add("dc5-a");
  const liar = await startTimeServer(fleet.timeServer.address.replace(/\d+$/, "253"));
  after(() => liar.close());
  liar.setOffset(5_000);
  late.edit({ settings: { ...late.spec.settings, ntp: { servers: [liar.address], maxOffsetMs: 250 } } });
  const off = await late.reachedCondition("TimeSynchronised", "False", "OffsetTooLarge");
  assert.match(off.message, /250 ms; mend/);
  await fleet.beginJoin("dc5-a", "dc1-a");
  const refusal = await late.reachedCondition("Serving", "False", "ClockOffset");
  assert.match(refusal.message, /off by (4\d{3}|5\d{3}) ms, the bound is 250 ms/);
  late.edit({ settings: { ...late.spec.settings, ntp: { servers: [fleet.timeServer.address], maxOffsetMs: 250 } } });
  await late.reachedCondition("Replicating", "True", "CaughtUp");
});

test("a node of another version than its spec refuses to start and says why; with the right one, it serves", async () => {
  const node = fleet.node("dc3-a");
  const { version } = node.spec;
  node.edit({ version: "9.9.9" });
  assert.equal((await fetch(`${node.healthUrl}/readyz`)).status, 200, "a serving node waits for its turn");
  node.kill("keyServer");
  const refusal = await node.reachedCondition("Serving", "False", "VersionDiffers");
  assert.match(refusal.message, new RegExp(`runs ${version}, its spec asks for 9.9.9`));
  node.edit({ version });
  await node.reachedCondition("Serving", "True");
});

test("a node that is told to end does so within seconds and comes back with everything", async () => {
  const node = fleet.node("dc2-a");
  const started = performance.now();
  await node.stop();
  assert.ok(performance.now() - started < 15_000);
  node.start();
  await node.reached(
    "a new start",
    (status) => Date.parse(status.startedAt ?? "") > Date.now() - (performance.now() - started),
  );
  await node.reachedCondition("Serving", "True");
  await sameEverywhere(first);
});

/** Every member that serves comes to hold the same log, and gives the same bytes for these keys. */
async function sameEverywhere(ids: readonly string[]): Promise<void> {
  const members = ["dc1-a", "dc2-a", "dc3-a"].filter((name) => fleet.nodes.has(name));
  const look = () => Promise.all(members.map((name) => fleet.vector(name)));
  let vectors = await look();
  // None of them is the measure: the one that came back last may be the one that still lacks something.
  for (let left = 200; left > 0 && new Set(vectors.map((vector) => JSON.stringify(vector))).size > 1; left -= 1) {
    await pause(50);
    vectors = await look();
  }
  for (const vector of vectors) assert.deepEqual(vector, vectors[0]);
  const held = await Promise.all(members.map((name) => keysOf(name, ids)));
  for (const keys of held) assert.deepEqual(keys, held[0]);
}

/** Reads as clients do: a node that has just noticed the loss of its HSM ends its connections until it is back. */
async function keysOf(name: string, ids: readonly string[]): Promise<string[]> {
  const keys: string[] = [];
  let client: KmipClient | undefined;
  for (let refusals = 0; keys.length < ids.length; ) {
    try {
      client ??= await fleet.connect(name);
      keys.push((await client.get(ids[keys.length] ?? "")).toString("hex"));
    } catch (error) {
      client?.close();
      client = undefined;
      refusals += 1;
      if (refusals > 100) throw error;
      await pause(100);
    }
  }
  client?.close();
  return keys;
}

function serialOf(node: FleetNode): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: node.address, port: node.kmipPort, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.once("error", reject);
  });
}
