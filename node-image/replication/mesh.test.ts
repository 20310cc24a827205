import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import type { Change } from "../objects/types.ts";
import { type CuttableLink, cuttableLink } from "../testing/cuttable-link.ts";
import { testKeyring } from "../testing/keyring.ts";
import { aCreate, type MeshFleet, type MeshNode, meshFleet, until } from "../testing/mesh.ts";
import { stepDeadlineMs } from "./durability.ts";
import { requestMasterKey } from "./handover.ts";
import type { HandoverAnswer, MeshMember, Replication, SiteStep } from "./types.ts";

// Three nodes, one a site. dc1-a and dc2-a reach each other over links that can be cut; dc3-a reaches both directly.
let fleet: MeshFleet;
let nodes: [MeshNode, MeshNode, MeshNode];
let exchanges: Replication[];
let links: [CuttableLink, CuttableLink];
const steps: (SiteStep & { readonly seenBy: MeshNode })[] = [];
const wrapped = randomBytes(256);

before(async () => {
  fleet = await meshFleet(["dc1", "dc2", "dc3"], testKeyring());
  nodes = await Promise.all([fleet.start("dc1-a", "dc1"), fleet.start("dc2-a", "dc2"), fleet.start("dc3-a", "dc3")]);
  links = await Promise.all([cuttableLink(nodes[0].postgres.port), cuttableLink(nodes[1].postgres.port)]);
  exchanges = await Promise.all(
    nodes.map((node) => {
      const onSiteStep = (step: SiteStep) => void steps.push({ ...step, seenBy: node });
      return node.join(membersFor(node), { onSiteStep, wrapFor });
    }),
  );
  await until("all are connected with all", allConnected, 8_000);
});
after(async () => {
  await fleet?.stop();
  for (const link of links ?? []) await link.close();
});

/** The members as this node is to reach them. */
function membersFor(node: MeshNode, others: readonly MeshMember[] = []): readonly MeshMember[] {
  const ports = new Map([
    ["dc1-a", node === nodes[1] ? links[0].port : undefined],
    ["dc2-a", node === nodes[0] ? links[1].port : undefined],
  ]);
  return [
    ...nodes.map(({ member }) => ({ ...member, meshPort: ports.get(member.name) ?? member.meshPort ?? 0 })),
    ...others,
  ];
}

async function wrapFor(identity: string): Promise<HandoverAnswer> {
  return identity === "CN=dc1-b,OU=dc1,O=bank" ? { wrapped } : { refusal: `${identity} is not joining` };
}

function allConnected(): boolean {
  return exchanges.every((exchange) =>
    exchange.status().peers.every((peer) => peer.connected && peer.acknowledged !== undefined),
  );
}

function allEqual(): boolean {
  const texts = nodes.map(({ store }) => JSON.stringify([...store.vector()].sort()));
  return texts.every((text) => text === texts[0]);
}

async function statesEqual(): Promise<void> {
  const states = await Promise.all(
    nodes.map(async ({ store }) => [
      await store.query("select * from keyfleet.ops order by origin, seq"),
      await store.query("select * from keyfleet.objects order by id"),
    ]),
  );
  assert.deepEqual(states[1], states[0]);
  assert.deepEqual(states[2], states[0]);
}

const aChange = (id: string, value: string): Change => ({
  kind: "change",
  id,
  facts: 1,
  attributes: { "x-note": [value] },
});

test("links are TLS with the hybrid key exchange, measured in both directions", () => {
  for (const exchange of exchanges) {
    for (const peer of exchange.status().peers) {
      assert.equal(peer.tlsGroup, "X25519MLKEM768");
      assert.ok((peer.roundTripMs ?? -1) > 0 && (peer.lastHeardMs ?? -1) > 0);
    }
  }
});

test("three nodes that write at once, also to the same object, become equal", async () => {
  const shared = aCreate("shared");
  await nodes[0].store.write([shared]);
  await Promise.all(
    nodes.flatMap(({ store }, index) =>
      Array.from({ length: 40 }, () => store.write([aCreate(), aChange(shared.id, `from ${index}`)])),
    ),
  );
  await until("all hold the same", allEqual);
  await until("all know that they do", () => exchanges.every((exchange) => exchange.caughtUp()));
  await statesEqual();
});

test("an answered write is on every site in step, readable there at once", async () => {
  const large = { ...aCreate(), sealed: randomBytes(20_000) };
  for (const create of [aCreate(), large]) {
    await nodes[0].store.write([create]);
    for (const { store } of nodes) assert.equal((await store.object(create.id))?.id, create.id);
  }
});

test("a cut link is bridged over the third node, and heals", async () => {
  for (const link of links) link.cut();
  const create = aCreate();
  await nodes[1].store.write([create]);
  await until("dc1-a has it by way of dc3-a", async () => (await nodes[0].store.object(create.id)) !== undefined);
  await until("dc1-a has noticed", () => exchanges[0]?.status().peers[0]?.connected === false, 4_500);
  for (const link of links) link.heal();
  await until("the link is back", allConnected);
  await until("nobody is out of step any more", () =>
    exchanges.every((one) => one.status().sites.every((site) => site.inStep)),
  );
});

test("kill -9 of a node's PostgreSQL: others write on after one slow answer, and all become equal", async () => {
  const [first, , third] = nodes;
  await third.postgres.kill();
  steps.length = 0;
  const times: number[] = [];
  for (let count = 0; count < 5; count += 1) {
    const sent = performance.now();
    await first.store.write([aCreate()]);
    times.push(performance.now() - sent);
  }
  // A write that waits for a site which does not answer takes as long as that site's deadline, and ends with its being out of
  // step. On a machine that others use, the other site may be late as well, and no bound of time could tell one from the other.
  const left = steps.filter(({ seenBy, inStep }) => seenBy === first && !inStep).map(({ site }) => site);
  assert.equal(left.filter((site) => site === "dc3").length, 1, `it is told of once, not ${left}`);
  const slow = times.filter((time) => time >= stepDeadlineMs);
  assert.ok(slow.length <= left.length, `answers took ${times.map(Math.round)} ms; out of step were ${left}`);
  await third.postgres.start();
  await until("all are connected again", allConnected);
  await until("dc3 is in step again", () => steps.some(({ site, inStep }) => site === "dc3" && inStep));
  await until("all hold the same", allEqual);
  await statesEqual();
});

test("an operation changed in a peer's database is not taken, from there; everything else is", async () => {
  const [first, second, third] = nodes;
  for (const link of links) link.cut();
  await until(
    "dc1-a and dc2-a do not hear each other",
    () => exchanges[1]?.status().peers[0]?.connected === false,
    4_500,
  );
  // dc3-a is the only way from dc1-a to dc2-a, and lies about dc1-a's log.
  await third.store.query(
    "create function public.lie() returns trigger language plpgsql as $$ begin new.payload := '{}'; return new; end $$",
  );
  await third.store.query(
    `create trigger lie before insert on keyfleet.ops for each row when (new.origin = '${first.store.incarnation}') execute function public.lie()`,
  );
  const [hidden, honest] = [aCreate(), aCreate()];
  await first.store.write([hidden]);
  await third.store.write([honest]);
  const reasons = () => exchanges[1]?.status().peers.find(({ name }) => name === "dc3-a")?.refusedOrigins;
  await until("dc2-a reports it", () => reasons()?.[first.store.incarnation] === "badMac", 6_000);
  assert.notEqual(await second.store.object(honest.id), undefined);
  assert.equal(await second.store.object(hidden.id), undefined);
  for (const link of links) link.heal();
  await until("dc2-a has it from its origin", async () => (await second.store.object(hidden.id)) !== undefined);
  await third.store.query("drop trigger lie on keyfleet.ops");
  const position = [first.store.incarnation, first.store.vector().get(first.store.incarnation)];
  const [truth] = await first.store.query("select payload from keyfleet.ops where origin = $1 and seq = $2", position);
  await third.store.query("update keyfleet.ops set payload = $3 where origin = $1 and seq = $2", [
    ...position,
    truth?.payload,
  ]);
});

test("the end of a departed log is heard of peers by who was not told", async () => {
  const [first, second] = nodes;
  const origin = randomUUID();
  first.store.setFences(new Map([[origin, 7]]));
  for (const link of links) link.cut();
  await until("the link is gone", () => !allConnected());
  for (const link of links) link.heal();
  const known = async () =>
    (await second.store.query("select value::text as text from keyfleet.settings where key = 'fences'"))[0]?.text;
  await until("dc2-a has it too", async () => String(await known()).includes(`["${origin}", 7,`), 8_000);
  await until("all are connected with all", allConnected, 8_000);
});

test("who leaves acknowledges nothing, and who is fenced speaks to nobody, also when the others have not heard of it", async () => {
  const [first, , third] = nodes;
  const itself = (standing: MeshMember["standing"]) =>
    third.join(membersFor(third).map((member) => (member.name === "dc3-a" ? { ...member, standing } : member)));
  const inStep = () => exchanges[0]?.status().sites.find(({ site }) => site === "dc3")?.inStep;
  await itself("Leaving");
  const create = aCreate();
  await first.store.write([create]);
  assert.equal(inStep(), false, "nobody counts on it");
  await until("it goes on taking in", async () => (await third.store.object(create.id)) !== undefined);
  await itself("Fenced");
  assert.deepEqual(exchanges[2]?.status().peers, []);
  await itself("Member");
  await until("it counts again", () => inStep() === true);
  await until("all are connected with all", allConnected, 8_000);
});

test("a joiner gets the master key by its name in the certificate; others are refused", async () => {
  const tls = await fleet.certificate("dc1", { site: "dc1", name: "dc1-b" });
  const identity = "CN=dc1-b,OU=dc1,O=bank";
  const joiner: MeshMember = { name: "dc1-b", site: "dc1", identity, standing: "Joining" };
  await nodes[0].join(membersFor(nodes[0], [joiner]));
  const sponsor = nodes[0].member;
  assert.deepEqual(await requestMasterKey({ sponsor, tls, deadlineMs: 3_000 }), wrapped);
  const refused = { code: "refused", message: /dc2-a.* is not joining/ };
  await assert.rejects(requestMasterKey({ sponsor, tls: nodes[1].tls, deadlineMs: 3_000 }), refused);
  const wrongName = { ...sponsor, identity: "CN=dc9-a,OU=dc1,O=bank" };
  const unreachable = { code: "unreachable", message: /certificate at this address is for "CN=dc1-a,OU=dc1,O=bank"/ };
  await assert.rejects(requestMasterKey({ sponsor: wrongName, tls, deadlineMs: 3_000 }), unreachable);
});

test("who is no member is not let in, and who is one no longer is thrown out", async () => {
  const sponsor = nodes[0].member;
  const stranger = await fleet.certificate("dc1", { site: "dc1", name: "stranger" });
  await assert.rejects(requestMasterKey({ sponsor, tls: stranger, deadlineMs: 1_000 }), { code: "unreachable" });
  // dc2's authority certifies a name of dc3: its name constraint forbids that.
  const forged = await fleet.certificate("dc2", { site: "dc3", name: "dc3-a" });
  await assert.rejects(requestMasterKey({ sponsor, tls: forged, deadlineMs: 1_000 }), { code: "unreachable" });
  const without = membersFor(nodes[0]).map((member) =>
    member.name === "dc3-a" ? { ...member, standing: "Departed" as const } : member,
  );
  await nodes[0].join(without);
  const toFirst = () => exchanges[2]?.status().peers.find(({ name }) => name === "dc1-a");
  await until(
    "dc3-a is refused",
    () => toFirst()?.connected === false && /ident|authentication/.test(toFirst()?.problem ?? ""),
  );
  await nodes[0].join(membersFor(nodes[0]));
  await until("dc3-a is back", allConnected);
});

test("a machine's clock that is set back puts nobody out of step", async () => {
  const [{ store }] = nodes;
  // As if it had been set back since the sessions of the others began.
  await store.query(
    `create function public.back() returns trigger language plpgsql as
      $$ begin new.acknowledged := new.acknowledged - interval '1 hour'; return new; end $$`,
  );
  const each = "before insert or update on mesh.positions for each row execute function public.back()";
  await store.query(`create trigger back ${each}`);
  const seen = new Set<string>();
  const look = () => {
    for (const { site, inStep } of exchanges[0]?.status().sites ?? []) if (!inStep) seen.add(site);
    return false;
  };
  await until("both are in step", () => exchanges[0]?.status().sites.every(({ inStep }) => inStep) === true);
  await store.write([aCreate()]);
  await until("it was looked at", look, 6_000).catch(() => undefined);
  assert.deepEqual([...seen], []);
  await store.query("drop trigger back on mesh.positions");
});
