import assert from "node:assert/strict";
import { after, before, type TestContext, test } from "node:test";
import { type CuttableLink, cuttableLink } from "../testing/cuttable-link.ts";
import { testKeyring } from "../testing/keyring.ts";
import { aCreate, type MeshFleet, type MeshNode, meshFleet, until } from "../testing/mesh.ts";
import { connectPeer, type PeerConnection } from "./peer-connection.ts";
import type { MeshMember, MeshTls, Replication } from "./types.ts";

// Two have the certificate of dc2-a, and its key: the node itself, and a thief, who has not the master key.
/** As in mesh.sql: so many sessions without a pass one name may have at once, and so many stay. */
const sessionsAtOnce = 8;
const sessionsOfOne = 4;
/** So many the thief wants, each so often. */
const wanted = 30;
const againMs = 500;
/** Three looks at who overstays, and more. */
const watchedMs = 8_000;
let fleet: MeshFleet;
let door: MeshNode;
let owner: MeshNode;
let way: CuttableLink;
let exchange: Replication;
let tlsOfThird: MeshTls;
const third: MeshMember = { name: "dc1-b", site: "dc1", identity: "CN=dc1-b,OU=dc1,O=bank", standing: "Member" };

before(async () => {
  fleet = await meshFleet(["dc1", "dc2"], testKeyring());
  door = await fleet.start("dc1-a", "dc1");
  owner = await fleet.start("dc2-a", "dc2");
  tlsOfThird = await fleet.certificate("dc1", { site: "dc1", name: "dc1-b" });
  way = await cuttableLink(door.postgres.port);
  exchange = await door.join([door.member, owner.member, third]);
  await owner.join([{ ...door.member, meshPort: way.port }, owner.member, third]);
  const told = async () => (await door.store.query("select from mesh.passes").catch(() => [])).length === 2;
  await until("both are in step", async () => inStep() && (await told()), 20_000);
});
after(async () => {
  await fleet?.stop();
  await way?.close();
});

function inStep(): boolean {
  return exchange.status().sites.some(({ site, inStep: is }) => site === "dc2" && is);
}

async function enter(tls: MeshTls, lost: () => void): Promise<PeerConnection | undefined> {
  return connectPeer({ peer: door.member, tls, notified: () => undefined, lost }).catch(() => undefined);
}

async function isOtherLetIn(): Promise<boolean> {
  const other = await enter(tlsOfThird, () => undefined);
  other?.close();
  return other !== undefined;
}

/** Takes what sessions it gets and, thrown out, comes again until the test is over. Tells how many it has, and had in all. */
function thief(t: TestContext): { readonly open: () => number; readonly opened: () => number } {
  const open = new Set<PeerConnection>();
  let [opened, over] = [0, false];
  const come = async () => {
    if (over) return;
    const again = () => void setTimeout(come, againMs);
    let connection: PeerConnection | undefined;
    connection = await enter(owner.tls, () => {
      if (connection !== undefined) open.delete(connection);
      again();
    });
    if (connection === undefined) return again();
    opened += 1;
    open.add(connection);
    if (over) connection.close();
  };
  t.after(() => {
    over = true;
    for (const connection of open) connection.close();
  });
  for (let at = 0; at < wanted; at += 1) void come();
  return { open: () => open.size, opened: () => opened };
}

test("a member whose link has broken comes back although a thief of its certificate came first, takes what there is and never stops; and so do others", async (t) => {
  const stolen = thief(t);
  await until("the thief is in", () => stolen.open() >= sessionsOfOne);
  const session = async () =>
    (await door.store.query("select backend from mesh.positions where identity = $1", [owner.member.identity]))[0]
      ?.backend;
  const before = await session();
  way.heal(); // Its link from before is reset.
  await until("the member is back", async () => (await session()) !== before, 20_000);
  const back = await session();
  await until("and in step", inStep, 20_000);
  const untilMs = performance.now() + watchedMs;
  let rounds = 0;
  for (; performance.now() < untilMs; rounds += 1) {
    await door.store.write([aCreate()]);
    // Who is kept out is out of step for good; a machine that is busy makes it so for a moment.
    await until("the member acknowledges", inStep, 10_000);
    await until("another member is let in", isOtherLetIn, 10_000);
    assert.ok(stolen.open() <= sessionsAtOnce + 1);
  }
  assert.equal(await session(), back, "its new link stays");
  t.diagnostic(`${rounds} rounds, the thief had ${stolen.opened()} sessions`);
  assert.ok(stolen.opened() > sessionsAtOnce, "the thief comes again and again");
});

test("the operator removes the member: all sessions of the thief end at once, and it opens no other", async (t) => {
  const stolen = thief(t);
  await until("the thief is in", () => stolen.open() >= sessionsOfOne);
  await door.join([door.member, { ...owner.member, standing: "Fenced" }, third]);
  await until("all its sessions are ended", () => stolen.open() === 0, 1_000);
  const before = stolen.opened();
  const untilMs = performance.now() + 5 * againMs;
  while (performance.now() < untilMs) await until("another member is let in", isOtherLetIn, 10_000);
  assert.equal(stolen.opened(), before);
});
