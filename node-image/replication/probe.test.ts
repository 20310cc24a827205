import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { testKeyring } from "../testing/keyring.ts";
import { type MeshFleet, type MeshNode, meshFleet, until } from "../testing/mesh.ts";
import { probePeer } from "./probe.ts";

let fleet: MeshFleet;
let node: MeshNode;
let trustBundlePem: string;
before(async () => {
  fleet = await meshFleet(["dc1", "dc2"], testKeyring());
  node = await fleet.start("dc1-a", "dc1");
  await node.join([node.member]);
  ({ trustBundlePem } = node.tls);
});
after(() => fleet?.stop());

test("a member's port is reached by a node that it does not list, and nothing is written into its log", async () => {
  const before = node.postgres.output().length;
  for (const _ of [1, 2, 3]) assert.ok((await probePeer({ peer: node.member, trustBundlePem })) < 2_000);
  const stranger = await fleetOfAnother();
  await assert.rejects(probePeer({ peer: node.member, trustBundlePem: stranger.trustBundlePem }));
  const lines = () => node.postgres.output().slice(before).trim().split("\n");
  await until("it has written of the last one", () => /could not accept SSL/.test(lines().join()));
  assert.equal(lines().length, 1, lines().join("\n"));
});

test("a port that shows the certificate of another node is not the member's", async () => {
  const peer = { ...node.member, identity: "CN=dc2-a,OU=dc2,O=bank" };
  await assert.rejects(probePeer({ peer, trustBundlePem }), /"CN=dc1-a,OU=dc1,O=bank", expected "CN=dc2-a/);
});

// A case is a sentence, what stands at the port, and why the member is not reached.
const cases: readonly (readonly [string, (socket: Socket) => void, RegExp])[] = [
  ["takes the connection and says nothing", () => undefined, /no answer in time/],
  ["has no TLS", (socket) => socket.once("data", () => socket.write("N")), /takes no TLS/],
  ["is another protocol", (socket) => socket.write("SSH-2.0-x\r\n"), /closed|no answer|wrong version|packet/i],
  ["hangs up", (socket) => socket.end(), /closed without an answer|ECONNRESET|EPIPE/],
  ["hangs up in the handshake", (socket) => socket.once("data", () => socket.end("S")), /closed|disconnected/],
];

for (const [what, answer, why] of cases)
  test(`a port is no member that ${what}`, async () => {
    const server = await listening(answer);
    const peer = { ...node.member, meshPort: (server.address() as AddressInfo).port };
    await assert.rejects(probePeer({ peer, trustBundlePem, deadlineMs: 300 }), why);
    server.close();
  });

test("a port at which nobody listens is not reached", async () => {
  const server = await listening(() => undefined);
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  await assert.rejects(probePeer({ peer: { ...node.member, meshPort: port }, trustBundlePem }), /ECONNREFUSED/);
});

async function listening(answer: (socket: Socket) => void): Promise<Server> {
  const server = createServer((socket) => answer(socket.on("error", () => undefined))).listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

async function fleetOfAnother() {
  return (await meshFleet(["dc1"], testKeyring())).certificate("dc1", { site: "dc1", name: "dc1-a" });
}
