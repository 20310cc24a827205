import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { testKeyring } from "../testing/keyring.ts";
import { aCreate, type MeshFleet, type MeshNode, meshFleet, until } from "../testing/mesh.ts";
import { requestMasterKey } from "./handover.ts";
import type { Replication } from "./types.ts";

// Two honest members, and one whose database was taken over: it has a member's certificate and all that a member gets, and
// not the master key.
const doors = readFileSync(join(import.meta.dirname, "mesh.sql"), "utf8");
const lieForMs = 6_000;
/** So that its log is looked at while it stands still, too. */
const betweenWritesMs = 2_500;
let fleet: MeshFleet;
let nodes: [MeshNode, MeshNode, MeshNode];
let exchanges: Replication[];
let events: string[] = [];

before(async () => {
  fleet = await meshFleet(["dc1", "dc2", "dc3"], testKeyring());
  nodes = await Promise.all([fleet.start("dc1-a", "dc1"), fleet.start("dc2-a", "dc2"), fleet.start("dc3-a", "dc3")]);
  const members = nodes.map(({ member }) => member);
  exchanges = await Promise.all(
    nodes.map((node, at) =>
      node.join(members, { log: ({ event }) => void (at < 2 && events.push(`${node.member.name} ${event}`)) }),
    ),
  );
  for (const { store } of nodes) await store.write([aCreate(), aCreate()]);
  await until("all hold the same", () => new Set(nodes.map(vectorOf)).size === 1, 10_000);
});
after(() => fleet?.stop());

function vectorOf({ store }: MeshNode): string {
  return JSON.stringify([...store.vector()].sort());
}

interface Lie {
  readonly seq?: string;
  readonly base?: string;
  readonly mac?: string;
  readonly more?: string;
  readonly own?: string;
}

/** What the third node says of its logs, as SQL over the truth, where `mine` is the log of the node that is lied about. */
const itsOwn = "v.origin = (select n.incarnation from keyfleet.node_self n)";

function vectorSaying({
  seq = "v.seq",
  base = "v.base",
  mac = "encode(v.mac, 'base64')",
  more = "",
  own = itsOwn,
}: Lie) {
  const ofMine = (lie: string, truth: string) => `case when v.origin = mine then ${lie} else ${truth} end`;
  return `create or replace function mesh.vector()
    returns table (origin uuid, seq bigint, own boolean, base bigint, mac text, hears boolean, sign text, clock_ms bigint)
    language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $f$
    declare mine uuid := '${nodes[0].store.incarnation}';
    begin
      return query select v.origin, ${ofMine(seq, "v.seq")}, ${own},
        ${ofMine(base, "v.base")}, ${ofMine(mac, "encode(v.mac, 'base64')")}, true, 'x'::text, 0::bigint
        from keyfleet.vector v ${more};
    end $f$`;
}

const unbelieved: readonly (readonly [sentence: string, lie: Lie])[] = [
  ["that the last operation of another's log is another one", { mac: "'AAAA'" }],
  ["that it holds more of another's log than there is", { seq: "v.seq + 5" }],
  ["that it has pruned what nobody else has", { seq: "v.seq + 5", base: "v.seq + 5" }],
];

for (const [sentence, lie] of unbelieved) {
  test(`a peer that says ${sentence}, and cannot show it, stops nobody`, async () => {
    await lying(vectorSaying(lie));
    assert.deepEqual(
      exchanges.slice(0, 2).map((exchange) => exchange.status().snapshot?.incomplete ?? false),
      [false, false],
      "whoever asks it for a snapshot serves what is here meanwhile",
    );
    assert.deepEqual(
      events.filter((event) => /snapshotTaken|forked|newIncarnation/.test(event)),
      [],
    );
    await goesOn();
  });
}

const unbearable: readonly (readonly [sentence: string, lie: Lie, problem: RegExp])[] = [
  [
    "answers without end",
    {
      more: "union all select gen_random_uuid(), 1::bigint, false, 0::bigint, '', true, repeat('x', 34000000), 0::bigint",
    },
    /terminated|closed/,
  ],
  [
    "tells of more logs than there can be",
    {
      more: "union all select gen_random_uuid(), 1::bigint, false, 0::bigint, '', true, 'x', 0::bigint from generate_series(1, 20000)",
    },
    /20003 logs/,
  ],
  ["tells of a log that cannot be", { seq: "-7::bigint" }, /cannot be/],
  ["says of no log that it is its own", { own: "false" }, /no log that it is its own/],
];

for (const [sentence, lie, problem] of unbearable) {
  test(`a peer that ${sentence} is not listened to`, async () => {
    await lying(vectorSaying(lie), async () => {
      const liars = () =>
        exchanges.slice(0, 2).map((exchange) => exchange.status().peers.find(({ name }) => name === "dc3-a"));
      const told = new Set<number>();
      // Between two attempts: each begins without a problem.
      const areTold = () => {
        for (const [at, liar] of liars().entries()) if (problem.test(liar?.problem ?? "")) told.add(at);
        return told.size === 2;
      };
      await until("both tell it", areTold, 10_000);
      assert.deepEqual(
        liars().map((liar) => liar?.lagOperations),
        [undefined, undefined],
      );
    });
    await goesOn();
  });
}

test("a peer in whose database a log was changed stops nobody, and its own problem is told", async () => {
  const [{ store }, , { store: changed }] = nodes;
  const { incarnation } = store;
  const place = [incarnation, store.vector().get(incarnation)];
  await changed.query("update keyfleet.ops set mac = sha256(mac) where origin = $1 and seq = $2", place);
  events = [];
  const problem = () => exchanges[0]?.status().peers.find(({ name }) => name === "dc3-a")?.problem;
  await until("dc1-a tells it", () => /look at its database/.test(problem() ?? ""), 8_000);
  await delay(lieForMs / 2);
  assert.deepEqual(
    events.filter((event) => /forked|newIncarnation/.test(event)),
    [],
  );
  await store.write([aCreate()]);
});

test("a sponsor that trickles its answers holds a joiner no longer than it is to wait", async () => {
  const [, , { member: sponsor, store }] = nodes;
  await store.query(`create or replace function mesh.master_key() returns table (wrapped bytea, refusal text)
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $f$
    begin
      for each in 1..8 loop perform pg_sleep(0.5); raise notice 'soon'; end loop;
    end $f$`);
  const begunMs = performance.now();
  await assert.rejects(requestMasterKey({ sponsor, tls: nodes[0].tls, deadlineMs: 2_000 }), { code: "deadline" });
  assert.ok(performance.now() - begunMs < 10_000);
  await store.query(doors);
});

/** The third node lies for some seconds, in which the first writes; then it says the truth again. */
async function lying(statement: string, check: () => Promise<void> = async () => undefined): Promise<void> {
  events = [];
  await nodes[2].store.query(statement);
  try {
    for (let count = 0; count < lieForMs / betweenWritesMs; count += 1) {
      await nodes[0].store.write([aCreate()]);
      await delay(betweenWritesMs);
    }
    await check();
  } finally {
    await nodes[2].store.query(doors);
  }
}

/** The honest ones serve, hold the same, and count each other as in step. */
async function goesOn(): Promise<void> {
  const [first, second] = nodes;
  const inStep = (exchange: Replication | undefined, of: string) =>
    exchange?.status().sites.find(({ site }) => site === of)?.inStep === true;
  await until("they are in step", () => inStep(exchanges[0], "dc2") && inStep(exchanges[1], "dc1"), 8_000);
  const create = aCreate();
  await first.store.write([create]);
  assert.equal((await second.store.object(create.id))?.id, create.id);
  for (const exchange of exchanges.slice(0, 2)) {
    assert.equal(exchange.status().forked, undefined);
    await until("nothing is told of a snapshot any more", () => exchange.status().snapshot === undefined, 8_000);
  }
}
