import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import pg from "pg";
import type { MeshTls } from "../replication/types.ts";
import { testKeyring } from "../testing/keyring.ts";
import { type MeshFleet, type MeshNode, meshFleet, until } from "../testing/mesh.ts";
import { applyMeshConfiguration } from "./mesh-configuration.ts";

// What a node's certificate is worth at a member's door once the node has left the fleet. It would be good for ten years.
const tenYearsMs = 10 * 365 * 24 * 3600_000;
const leaver = { name: "dc1-b", site: "dc1", identity: "CN=dc1-b,OU=dc1,O=bank", standing: "Member" } as const;
const other = { name: "dc1-c", site: "dc1", identity: "CN=dc1-c,OU=dc1,O=bank", standing: "Member" } as const;
let fleet: MeshFleet;
let member: MeshNode;
let tls: MeshTls;
let tlsOfOther: MeshTls;

before(async () => {
  fleet = await meshFleet(["dc1"], testKeyring());
  member = await fleet.start("dc1-a", "dc1");
  tls = await fleet.certificate("dc1", { site: "dc1", name: "dc1-b", lifeMs: tenYearsMs });
  tlsOfOther = await fleet.certificate("dc1", { site: "dc1", name: "dc1-c" });
});
after(() => fleet?.stop());

/** What the member's key server does when it reads its document. */
async function listed(standing: "Member" | "Leaving" | "Fenced" | "Departed"): Promise<void> {
  await member.join([member.member, { ...leaver, standing }, other]);
}

async function connected(as: MeshTls): Promise<pg.Client> {
  const { trustBundlePem: ca, certificateChainPem: cert, privateKeyPem: key } = as;
  const ssl = { ca, cert, key, checkServerIdentity: () => undefined };
  const { port } = member.postgres;
  const client = new pg.Client({ host: "127.0.0.1", port, user: "mesh", database: "keyfleet", ssl });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

const isAlive = (client: pg.Client) =>
  client.query("select from mesh.vector()").then(
    () => true,
    () => false,
  );

/** Refused by the door itself, not by TLS: what is wrong with the certificate is only whose it is. */
const refused = { code: "28000" };

/** The door is open for members; until then nobody's refusal says anything. */
async function othersAreLetIn(): Promise<void> {
  await until(
    "the other member is let in",
    () =>
      connected(tlsOfOther).then(
        (client) => client.end().then(() => true),
        () => false,
      ),
    20_000,
  );
}

for (const standing of ["Fenced", "Departed"] as const)
  test(`a node that is ${standing}: its open sessions end, and its certificate opens none, though it is good for years`, async () => {
    await listed("Member");
    await othersAreLetIn();
    const sessions = [await connected(tls), await connected(tls)];
    await sessions[0]?.query("listen ops");
    assert.deepEqual(await Promise.all(sessions.map(isAlive)), [true, true]);
    await listed("Leaving");
    assert.equal((await Promise.all(sessions.map(isAlive))).includes(false), false, "while it leaves it exchanges");
    await listed(standing);
    assert.deepEqual(await Promise.all(sessions.map(isAlive)), [false, false]);
    await assert.rejects(connected(tls), refused);
    const [leaf, ca] = [new X509Certificate(tls.certificateChainPem), new X509Certificate(tls.trustBundlePem)];
    assert.ok(leaf.verify(ca.publicKey) && leaf.validToDate.getTime() > Date.now() + tenYearsMs / 2);
    await othersAreLetIn();
  });

test("the key server ended while it wrote the list without a node: that one's sessions end, also when its own certificate is a new one by then", async () => {
  await listed("Member");
  await othersAreLetIn();
  const session = await connected(tls);
  const { confDirectory: directory, socketDirectory, port } = member.postgres;
  const path = join(directory, "pg_ident.mesh");
  const without = readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => !line.includes(leaver.identity));
  writeFileSync(path, without.join("\n"));
  const renewed = await fleet.certificate("dc1", { site: "dc1", name: "dc1-a" });
  const members = [member.member, { ...leaver, standing: "Departed" } as const, other];
  await applyMeshConfiguration({ directory, socketDirectory, port, tls: renewed, members });
  assert.equal(await isAlive(session), false);
  await assert.rejects(connected(tls), refused);
});

test("a handshake that was begun before the departure and is ended after it opens no session", async () => {
  for (const [standing, answer] of [
    ["Member", "ready"],
    ["Departed", "28000"],
  ] as const) {
    await listed("Member");
    await othersAreLetIn();
    const half = await halfOpen();
    await listed(standing);
    assert.equal(await opened(half), answer, `${standing} when it ends`);
  }
});

test("the member's PostgreSQL starts again, before its key server has said anything: the departed node stays out", async () => {
  await listed("Departed");
  await member.postgres.terminate();
  await member.postgres.start();
  await othersAreLetIn();
  await assert.rejects(connected(tls), refused);
});

test("the member's pod is made anew, and nobody is let in until its key server has read who the members are", async () => {
  await listed("Departed");
  await member.postgres.terminate();
  for (const file of readdirSync(member.postgres.confDirectory)) rmSync(join(member.postgres.confDirectory, file));
  await member.postgres.start();
  await assert.rejects(connected(tlsOfOther));
  await assert.rejects(connected(tls));
  await until("the store is back", () => member.store.ping(), 20_000);
  await listed("Departed");
  await othersAreLetIn();
  await assert.rejects(connected(tls), refused);
});

/** A caller that has done the TLS handshake, and says later who it wants to be. */
async function halfOpen(): Promise<TLSSocket> {
  const socket = connectTcp(member.postgres.port, "127.0.0.1");
  await once(socket, "connect");
  socket.write(packet(80877103)); // SSLRequest
  assert.equal(String((await once(socket, "data"))[0]), "S");
  const { trustBundlePem: ca, certificateChainPem: cert, privateKeyPem: key } = tls;
  const secure = connectTls({ socket, ca, cert, key, checkServerIdentity: () => undefined });
  secure.on("error", () => undefined);
  await once(secure, "secureConnect");
  return secure;
}

/** Asks for the session; what came of it: "ready", or the code of the refusal. */
async function opened(secure: TLSSocket): Promise<string> {
  secure.write(packet(196608, "user\0mesh\0database\0keyfleet\0\0")); // protocol 3.0
  let bytes = Buffer.alloc(0);
  for await (const chunk of secure) {
    bytes = Buffer.concat([bytes, chunk]);
    const code = /\0C(\d{5})\0/.exec(bytes.toString("latin1"))?.[1];
    if (code !== undefined) return code;
    // ReadyForQuery, idle.
    if (bytes.toString("latin1").endsWith("Z\0\0\0\x05I")) return "ready";
  }
  return "closed";
}

/** A packet without a type, as the first ones of the protocol are. */
function packet(kind: number, text = ""): Buffer {
  const bytes = Buffer.alloc(8 + text.length);
  bytes.writeInt32BE(bytes.length, 0);
  bytes.writeInt32BE(kind, 4);
  bytes.write(text, 8, "latin1");
  return bytes;
}
