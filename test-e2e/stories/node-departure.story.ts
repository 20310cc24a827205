import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Fleet } from "../../node-image/testing/fleet.ts";
import { Writers } from "../../node-image/testing/writers.ts";

/** A node leaves a fleet of processes and comes back; the story plays the operator. */
let fleet: Fleet;
let keys: readonly string[] = [];
let left: { incarnation: string; sequence: number };
const stayed = ["dc1-a", "dc2-a"];
before(async () => {
  fleet = await Fleet.start();
  await fleet.add("dc1-a");
  await fleet.found("dc1-a");
  for (const [name, sponsor] of [
    ["dc2-a", "dc1-a"],
    ["dc3-a", "dc2-a"],
  ] as const) {
    await fleet.add(name);
    await fleet.join(name, sponsor);
  }
});
after(() => fleet.stop());

test("a node that leaves answers what was asked, serves nobody more, and the others hold all that it wrote", async () => {
  const node = fleet.node("dc3-a");
  const writers = await Writers.start(fleet, ["dc1-a", "dc3-a"]);
  await writers.wrote(30, "dc3-a");
  node.edit({ membership: { action: "Leave" } });
  fleet.list("dc3-a", { standing: "Leaving" });
  await node.reachedCondition("Serving", "False", "Drained");
  await writers.wrote(30, "dc1-a");
  keys = await writers.stop();
  const own = await node.reached("its own departure", ({ departures }) =>
    departures?.find(({ name }) => name === node.name),
  );
  left = own;
  for (const name of stayed)
    await fleet
      .node(name)
      .reached("all of the leaver's log", ({ departures }) =>
        departures?.some(({ incarnation, sequence }) => incarnation === own.incarnation && sequence === own.sequence),
      );
  assert.ok(own.sequence >= 30);
  await assert.rejects(fleet.connect("dc3-a"));
});

test("fenced, it is spoken to no more; departed, nobody mentions it, and the fleet writes on", async () => {
  fleet.list("dc3-a", { standing: "Fenced" });
  for (const name of stayed)
    await fleet.node(name).reached("no link to it", ({ peers }) => peers?.every((peer) => peer.name !== "dc3-a"));
  await fleet.node("dc3-a").reachedCondition("Serving", "False", "Departed");
  await fleet.node("dc3-a").reachedCondition("Replicating", "False", "NotAMember");
  fleet.list("dc3-a", { standing: "Departed", lastSequence: left.sequence });
  for (const name of stayed) await fleet.node(name).reached("silence", ({ departures }) => departures === undefined);
  const client = await fleet.connect("dc1-a");
  keys = [...keys, await client.create()];
  client.close();
});

test("a departed node that starts again serves nobody and keeps what it has until somebody consents", async () => {
  const node = fleet.node("dc3-a");
  const before = node.status?.startedAt;
  node.kill("keyServer");
  await node.reached("a new start", ({ startedAt }) => startedAt !== before);
  await node.reachedCondition("Serving", "False", "Departed");
  // It knows that it has left before its database is open, and which log it has only afterwards.
  assert.equal(await node.reached("its log", ({ incarnation }) => incarnation), left.incarnation);
  await node.reachedCondition("Serving", "False", "Departed");
});

test("by consent it wipes itself, joins as a new incarnation and holds every key again", async () => {
  const node = fleet.node("dc3-a");
  node.edit({ membership: { action: "None", rejoin: left.incarnation } });
  const incarnation = await node.reached(
    "a new incarnation",
    ({ incarnation: now }) => now !== left.incarnation && now,
  );
  assert.notEqual(incarnation, left.incarnation);
  await node.reachedCondition("Serving", "False", "AwaitingMembership");
  assert.equal(node.status?.clusterId, undefined);
  await fleet.join("dc3-a", "dc1-a");
  const client = await fleet.connect("dc3-a");
  for (const key of keys) assert.equal((await client.get(key)).length, 32);
  keys = [...keys, await client.create()];
  client.close();
});
