import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { type Random, randomFrom } from "../../node-image/testing/random-stream.ts";
import { check, finalReader, story, type Violation } from "./check.ts";
import { HistoryClient, Objects } from "./clients.ts";
import { changeMembers, replace } from "./membership.ts";
import { nemesis } from "./nemesis.ts";
import type { Call, Deed, Recorder } from "./record.ts";
import type { World } from "./world.ts";

const clientsPerNode = 2;
const lanes = 2;
const equalDeadlineMs = 60_000;
// Share of the seeds at whose end all sites but one are destroyed.
const destroyShare = 0.25;
// Share of the seeds in which somebody joins or leaves.
const membershipShare = 0.5;
const calmMs = 2_000;
const recoveryMs = 6_000;

/** What came of one seed. */
export interface Outcome {
  readonly seed: number;
  readonly calls: number;
  readonly acknowledgedWrites: number;
  readonly unknownWrites: number;
  readonly deeds: number;
  readonly kinds: readonly string[];
  readonly objects: number;
  /** The longest answered write of all, ms. */
  readonly longestStallMs: number;
  /** The longest answered write at a node to which nothing had been done for some seconds: what others' troubles cost. */
  readonly longestStallElsewhereMs: number;
  /** From the end of all faults until all nodes were equal, ms. */
  readonly equalAfterMs: number;
  readonly sitesDestroyed: boolean;
  readonly violations: readonly Violation[];
  /** Minimal history of the first violation. */
  readonly story: readonly string[];
}

/** Runs clients and faults for so many seconds on a fleet that stands, heals it, reads everything and checks. */
export async function runSeed(parts: {
  readonly world: World;
  readonly recorder: Recorder;
  readonly seed: number;
  readonly seconds: number;
  readonly kinds: readonly string[];
}): Promise<Outcome> {
  const { world, recorder, seed, seconds, kinds } = parts;
  const random = randomFrom(seed);
  const objects = new Objects();
  const end = performance.now() + seconds * 1000;
  const going = () => performance.now() < end;
  const load = new AbortController();
  const clients = startClients({ world, recorder, random, objects, going: () => !load.signal.aborted });
  let sitesDestroyed = false;
  const violations: Violation[] = [];
  try {
    const changes = random.chance(membershipShare)
      ? changeMembers(world, recorder, random.fork("members")).catch((error: Error) =>
          violations.push({ rule: "members come and go", object: "", detail: error.message }),
        )
      : undefined;
    await nemesis({ world, recorder, random, lanes, kinds, going });
    await changes;
    sitesDestroyed = random.chance(destroyShare);
    if (sitesDestroyed) await destroyAllButOneSite(world, recorder, random);
    await pause(calmMs);
  } finally {
    load.abort();
    await Promise.all(clients);
  }
  const healedMs = performance.now();
  violations.push(...(await becomeEqual(world, recorder)));
  const equalAfterMs = performance.now() - healedMs;
  await readEverything(world, recorder, objects);
  violations.push(...check(recorder));
  const counts = count(recorder);
  if (counts.acknowledgedWrites === 0)
    violations.push({ rule: "clients are served", object: "", detail: recorder.calls.at(-1)?.problem ?? "no call" });
  return {
    ...counts,
    seed,
    deeds: recorder.deeds.length,
    kinds: [...new Set(recorder.deeds.map(({ what }) => what.replace(/[-\d.]+/g, "N")))],
    objects: objects.all.length,
    equalAfterMs,
    sitesDestroyed,
    violations,
    story: violations[0] === undefined ? [] : story(recorder, violations[0].object),
  };
}

function startClients(parts: {
  world: World;
  recorder: Recorder;
  random: Random;
  objects: Objects;
  going: () => boolean;
}): Promise<void>[] {
  const { world, recorder, random, objects, going } = parts;
  return world.members.flatMap((node) =>
    Array.from({ length: clientsPerNode }, (_, index) => {
      const name = `${node}/${index + 1}`;
      return new HistoryClient({ fleet: world.fleet, recorder, name, node }).run(objects, random.fork(name), going);
    }),
  );
}

/** In the middle of writes; the site that is left need not be prepared for it. */
async function destroyAllButOneSite(world: World, recorder: Recorder, random: Random): Promise<void> {
  await Promise.all(world.members.map((name) => world.serving(name)));
  await pause(random.between(500, 3_000));
  const kept = random.pick([...new Set(world.members.map((name) => world.site(name)))]);
  const doomed = world.members.filter((name) => world.site(name) !== kept);
  recorder.deed(`all sites but ${kept} destroyed with their disks:`, ...doomed);
  await world.destroy(doomed);
  await pause(random.between(500, 2_000));
}

/** Waits until every node that is left serves and holds the same; what differs at the deadline is a violation. */
async function becomeEqual(world: World, recorder: Recorder): Promise<readonly Violation[]> {
  const names = world.members.filter((name) => !recorder.destroyed.has(name));
  const forked = await replaceForked(world, recorder, names);
  if (forked !== undefined) return [forked];
  const silent = (await Promise.allSettled(names.map((name) => world.serving(name)))).flatMap((one) =>
    one.status === "rejected" ? String(one.reason) : [],
  );
  if (silent.length > 0)
    return [{ rule: "every node serves again after healing", object: "", detail: silent.join("\n") }];
  const end = performance.now() + equalDeadlineMs;
  for (;;) {
    const held = await Promise.all(names.map((name) => contents(world, name)));
    if (held.every((text) => text === held[0] && !text.startsWith("cannot"))) return [];
    if (performance.now() > end) {
      const detail = names.map((name, index) => `${name}: ${held[index]}`).join("\n");
      return [{ rule: "all nodes are equal after healing", object: "", detail }];
    }
    await pause(100);
  }
}

/** A node that says that its log has forked is removed and joins again, as its message asks for. */
async function replaceForked(
  world: World,
  recorder: Recorder,
  names: readonly string[],
): Promise<Violation | undefined> {
  // A restarted node knows after its first look at the peers.
  const settled = (name: string) =>
    world
      .node(name)
      .reached("it serves or says why not", ({ conditions }) =>
        conditions?.some(
          ({ type, status, reason }) => type === "Serving" && (status === "True" || reason === "StoreForked"),
        ),
      );
  try {
    await Promise.all(names.map(settled));
    for (const name of names) {
      if (world.node(name).condition("Serving")?.reason !== "StoreForked") continue;
      await replace(world, recorder, name);
    }
  } catch (error) {
    return { rule: "a forked node can be replaced", object: "", detail: (error as Error).message };
  }
  return undefined;
}

/** Digest of what a node holds: its vector and its merged state. */
async function contents(world: World, name: string): Promise<string> {
  const client = new pg.Client({
    host: `${world.node(name).folder}/run/postgres`,
    user: "keyfleet",
    database: "keyfleet",
    connectionTimeoutMillis: 2_000,
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query(`select
      (select string_agg(origin || ' ' || seq, ', ' order by origin) from keyfleet.vector) as vector,
      (select md5(string_agg((id, state, sealed)::text, '' order by id)) from keyfleet.objects) as objects`);
    return JSON.stringify(rows[0]);
  } catch (error) {
    return `cannot be read: ${(error as Error).message}`;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Every object on one node of those that are left, which are equal, and some of them on each. */
async function readEverything(world: World, recorder: Recorder, objects: Objects): Promise<void> {
  const names = world.members.filter((name) => !recorder.destroyed.has(name));
  await Promise.all(
    names.map(async (node, index) => {
      const client = new HistoryClient({ fleet: world.fleet, recorder, name: finalReader, node });
      const share = index === 0 ? objects.all : objects.all.filter((_, at) => at % 10 === index);
      for (const object of share) for (const verb of ["state", "get"] as const) await client.call(verb, object);
      client.close();
    }),
  );
}

function count({ calls, deeds }: Recorder) {
  const writes = calls.filter(({ verb, client }) => verb !== "get" && verb !== "state" && client !== finalReader);
  const answered = writes.filter(({ outcome }) => outcome === "ok");
  return {
    calls: calls.length,
    acknowledgedWrites: answered.length,
    unknownWrites: writes.filter(({ outcome }) => outcome === "unknown").length,
    longestStallMs: longest(answered),
    longestStallElsewhereMs: longest(answered.filter((call) => !deeds.some((deed) => concerns(deed, call)))),
  };
}

function longest(calls: readonly Call[]): number {
  return Math.max(0, ...calls.map(({ sentMs, answeredMs }) => answeredMs - sentMs));
}

/** Whether something was done to the call's node while it was answered, or shortly before. */
function concerns({ atMs, nodes }: Deed, { node, sentMs, answeredMs }: Call): boolean {
  return nodes.includes(node) && atMs > sentMs - recoveryMs && atMs < answeredMs;
}
