import assert from "node:assert/strict";
import { test } from "node:test";
import type { KmsNode, Member } from "@keyfleet/crds/kms-node.ts";
import { aNode } from "../testing/facts.ts";
import { PeerProbe } from "./peer-probe.ts";

/** A node that waits, among members of which some are not reached, and a clock of its own. */
function aWaitingNode(unreached: readonly string[] = []) {
  const asked: string[] = [];
  const world = { nowMs: 0, unreached, most: 0, now: 0 };
  const reach = async ({ peer }: { peer: { name: string } }) => {
    asked.push(peer.name);
    world.now += 1;
    world.most = Math.max(world.most, world.now);
    await new Promise(setImmediate);
    world.now -= 1;
    if (world.unreached.includes(peer.name)) throw new Error("no answer in time");
    return 7;
  };
  return { asked, world, probe: new PeerProbe({ nowMs: () => world.nowMs, reach }) };
}

const member = (name: string, change: Partial<Member> = {}): Member => ({
  ...{ name, site: "dc2", address: `${name}.mesh`, identity: `CN=${name},OU=dc2,O=bank`, standing: "Member" as const },
  ...change,
});

function documentOf(...members: readonly Member[]): KmsNode {
  return aNode({ members: [...members], trustBundle: "CAs" });
}

test("a node that waits says which members it reaches and which it does not", async () => {
  const { probe } = aWaitingNode(["dc2-b"]);
  assert.deepEqual(probe.peers, []);
  assert.ok(await probe.look(documentOf(member("dc2-a"), member("dc2-b"))));
  assert.deepEqual(probe.peers, [
    { name: "dc2-a", connected: true, roundTripMs: 7 },
    { name: "dc2-b", connected: false },
  ]);
});

// A case is a sentence and whom a node does not look for.
const notLookedFor: readonly (readonly [string, Member])[] = [
  ["itself", member("dc1-a")],
  ["who only comes", member("dc2-a", { standing: "Joining" })],
  ["who has gone", member("dc2-a", { standing: "Departed" })],
  ["who has no address", { name: "dc2-a", site: "dc2", identity: "CN=dc2-a,OU=dc2,O=bank", standing: "Member" }],
];
for (const [whom, who] of notLookedFor)
  test(`a node that waits does not look for ${whom}`, async () => {
    const { probe, asked } = aWaitingNode();
    assert.equal(await probe.look(documentOf(who)), false);
    assert.deepEqual([asked, probe.peers], [[], []]);
  });

test("it looks every 10 seconds, every 30 when it reaches all, at once when a member has another address, and tells of a change alone", async () => {
  const { probe, asked, world } = aWaitingNode(["dc2-a"]);
  const look = async (nowMs: number, address = "dc2-a.mesh") => {
    world.nowMs = nowMs;
    asked.length = 0;
    const changed = await probe.look(documentOf(member("dc2-a", { address })));
    return [changed, asked.length];
  };
  assert.deepEqual(await look(0), [true, 1]);
  assert.deepEqual(await look(9_999), [false, 0]);
  assert.deepEqual(await look(10_000), [false, 1]);
  world.unreached = [];
  assert.deepEqual(await look(11_000, "192.0.2.9"), [true, 1]);
  assert.deepEqual(await look(40_999, "192.0.2.9"), [false, 0]);
  assert.deepEqual(await look(41_000, "192.0.2.9"), [false, 1]);
});

test("it looks for four members at a time, however many there are", async () => {
  const { probe, asked, world } = aWaitingNode();
  await probe.look(documentOf(...Array.from({ length: 19 }, (_, at) => member(`dc2-${at}`))));
  assert.deepEqual([asked.length, world.most], [19, 4]);
});

test("a node that waits no longer has nothing to say of what it looked for, also of a look under way", async () => {
  const { probe } = aWaitingNode();
  const document = documentOf(member("dc2-a"));
  await probe.look(document);
  assert.ok(await probe.look(undefined));
  assert.deepEqual(probe.peers, []);
  const underWay = probe.look(document);
  await probe.look(undefined);
  assert.equal(await underWay, false);
  assert.deepEqual(probe.peers, []);
});

test("without the CAs of the sites nobody could be told from another, so nobody is looked for", async () => {
  const { probe, asked } = aWaitingNode();
  await probe.look(aNode({ members: [member("dc2-a")] }));
  assert.deepEqual(asked, []);
});
