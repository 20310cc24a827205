import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { after, before, type TestContext, test } from "node:test";
import { connectPeer } from "../replication/peer-connection.ts";
import type { MeshTls } from "../replication/types.ts";
import { close, connect, connectHere, localConnection } from "../store/connection.ts";
import { testKeyring } from "../testing/keyring.ts";
import { aCreate, type MeshFleet, type MeshNode, meshFleet, until } from "../testing/mesh.ts";
import { applyMeshConfiguration } from "./mesh-configuration.ts";

// Who reaches 5432, has no certificate, and takes places away by saying nothing. PostgreSQL throws each out after a while.
/** As in postgresql.conf: so long a stranger has his place, and so many have one. */
const strangersLastMs = 2_000;
const placesOfStrangers = 400;
/** Between two attempts of one. */
const againMs = 50;
let fleet: MeshFleet;
let node: MeshNode;
let tls: MeshTls;
const peer = { name: "dc1-b", site: "dc1", identity: "CN=dc1-b,OU=dc1,O=bank", standing: "Member" } as const;
const late = { name: "dc1-c", site: "dc1", identity: "CN=dc1-c,OU=dc1,O=bank", standing: "Member" } as const;

before(async () => {
  fleet = await meshFleet(["dc1"], testKeyring());
  node = await fleet.start("dc1-a", "dc1");
  await node.join([node.member, peer]);
  tls = await fleet.certificate("dc1", { site: "dc1", name: "dc1-b" });
  await until("members are let in", () => memberIsIn(), 20_000);
});
after(() => fleet?.stop());

/** `refused` hears why not. */
async function memberIsIn(refused: (code: unknown) => void = () => undefined): Promise<boolean> {
  const [notified, lost] = [() => undefined, () => undefined];
  const connection = await connectPeer({ peer: node.member, tls, notified, lost }).catch(
    (error: { code?: unknown }) => {
      refused(error.code);
      return undefined;
    },
  );
  if (connection === undefined) return false;
  const rows = await connection.query("select from mesh.vector()").catch(() => []);
  connection.close();
  return rows.length === 1;
}

/** Strangers who take their places and, thrown out, come again, until the test is over or what it returns ends them. */
async function strangers(t: TestContext, count: number): Promise<() => void> {
  const sockets = new Set<Socket>();
  let coming = true;
  const come = () => {
    if (!coming) return;
    const socket = connectTcp(node.postgres.port, "127.0.0.1");
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.resume().once("close", () => {
      sockets.delete(socket);
      setTimeout(come, againMs);
    });
  };
  const end = () => {
    coming = false;
    for (const socket of sockets) socket.destroy();
  };
  t.after(end);
  for (let at = 0; at < count; at += 1) come();
  await Promise.all([...sockets].map((socket) => once(socket, "connect")));
  const processes = () => node.postgres.pids().length;
  await until("they have their places", () => processes() > Math.min(count, placesOfStrangers), 10_000);
  return end;
}

test("200 strangers who say nothing and come again take no place from members nor from the key server", async (t) => {
  await strangers(t, 200);
  const { socketDirectory, port } = node.postgres;
  const untilMs = performance.now() + 2.5 * strangersLastMs;
  let rounds = 0;
  for (; performance.now() < untilMs; rounds += 1) {
    close(await connect(localConnection({ socketDirectory, port, database: "keyfleet" }), () => undefined));
    assert.equal(await memberIsIn(), true);
  }
  t.diagnostic(`${rounds} sessions of each`);
});

test("with more strangers than there are places the key server and members get their sessions all the same", async (t) => {
  const end = await strangers(t, 1.5 * placesOfStrangers);
  const { socketDirectory, port, confDirectory: directory } = node.postgres;
  const place = { socketDirectory, port, database: "keyfleet" };
  await assert.rejects(
    async () => {
      for (;;) close(await connect(localConnection(place), () => undefined));
    },
    { code: "53300" },
    "there is no room",
  );
  for (let count = 0; count < 5; count += 1) close(await connectHere(place, () => undefined));
  const create = aCreate("under strangers", "CN=late");
  await node.store.write([create]);
  const found = await Promise.all(Array.from({ length: 8 }, () => node.store.locate({ owner: "CN=late" })));
  assert.deepEqual(found, Array(8).fill([create.id]), "more at once than had a session before");
  await applyMeshConfiguration({ directory, socketDirectory, port, tls: node.tls, members: [node.member, peer, late] });
  const refusals: unknown[] = [];
  for (let entered = 0; entered < 5; entered += 1)
    await until("a member is let in among them", () => memberIsIn((code) => refusals.push(code)), 10 * strangersLastMs);
  assert.equal(refusals.includes("53300"), false, "it asks again by itself until there is room");
  end();
  await until("members are let in at once again", () => memberIsIn(), 2 * strangersLastMs);
});
