import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { type Random, randomFrom } from "../../node-image/testing/random-stream.ts";
import { check, type Violation } from "./check.ts";
import { HistoryClient, Objects } from "./clients.ts";
import { atEnd, count } from "./counts.ts";
import { changeMembers, replace } from "./membership.ts";
import { nemesis } from "./nemesis.ts";
import { type FaultCount, finalReader, type Recorder } from "./record.ts";
import { lastWarnings, story } from "./story.ts";
import type { World } from "./world.ts";

const clientsPerNode = 2;
const lanes = 2;
const equalDeadlineMs = 60_000;
// Share of the seeds at whose end all sites but one are destroyed.
const destroyShare = 0.2;
// Share of the seeds in which somebody joins or leaves.
const membershipShare = 0.35;
const calmMs = 2_000;
const readersAtOnce = 4;
// Nothing is hurt any more: an answer may be late on a machine that does much else, but must come.
const finalTimeoutMs = 60_000;
// Twice what a client waits for an answer: longer nobody stays unserved where nothing was done.
const outageMaxMs = 10_000;

/** What came of one seed. */
export interface Outcome {
  readonly seed: number;
  readonly calls: number;
  readonly acknowledgedWrites: number;
  readonly unknownWrites: number;
  readonly deeds: number;
  readonly objects: number;
  /** The longest answered write of all, ms. */
  readonly longestStallMs: number;
  /** The longest answered write at a node to which nothing had been done for some seconds: what others' troubles cost. */
  readonly longestStallElsewhereMs: number;
  /** The longest time without any answer to a client at such a node: calls that failed are in it. */
  readonly longestOutageElsewhereMs: number;
  /** How long this machine ran nobody for longer than a second, ms: no outage of a node. */
  readonly machineStoodStillMs: number;
  /** From the end of all faults until all nodes were equal, ms. */
  readonly equalAfterMs: number;
  readonly sitesDestroyed: boolean;
  readonly membersChanged: boolean;
  /** Nodes whose logs had forked, which were removed and joined anew. */
  readonly forked: number;
  readonly faults: Readonly<Record<string, FaultCount>>;
  /** Where the time went, ms. */
  readonly spentMs: Readonly<Record<string, number>>;
  readonly violations: readonly Violation[];
  /** Minimal history of the first violation, and what the nodes warned of. */
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
  const { world, recorder, seed } = parts;
  const random = randomFrom(seed);
  const objects = new Objects();
  const spentMs: Record<string, number> = {};
  const timed = async <Value>(what: string, work: () => Promise<Value>): Promise<Value> => {
    const begin = performance.now();
    try {
      return await work();
    } finally {
      spentMs[what] = Math.round(performance.now() - begin);
    }
  };
  const load = new AbortController();
  const stopWatching = recorder.watchStalls();
  const clients = startClients({ world, recorder, random, objects, going: () => !load.signal.aborted });
  const violations: Violation[] = [];
  const [membersChanged, sitesDestroyed] = [random.chance(membershipShare), random.chance(destroyShare)];
  try {
    await timed("hurt", async () => violations.push(...(await hurt({ ...parts, random, membersChanged }))));
    if (sitesDestroyed) await timed("destroy", () => destroyAllButOneSite(world, recorder, random));
    await pause(calmMs);
  } finally {
    load.abort();
    await Promise.all(clients);
    stopWatching();
  }
  const { found, forked, equalAfterMs } = await timed("heal", () => heal(world, recorder));
  violations.push(...found);
  violations.push(...(await timed("write", () => writeEverywhere(world, recorder, objects))));
  await timed("read", () => readEverything(world, recorder, objects));
  violations.push(...(await timed("check", async () => check(recorder))));
  const counts = count(recorder);
  if (counts.acknowledgedWrites === 0)
    violations.push({ rule: "clients are served", object: "", detail: recorder.calls.at(-1)?.problem ?? "no call" });
  if (counts.longestOutageElsewhereMs > outageMaxMs) {
    const detail = `nobody for ${counts.longestOutageElsewhereMs.toFixed(0)} ms`;
    violations.push({ rule: "clients are served where nothing is done", object: "", detail });
  }
  return {
    ...counts,
    seed,
    deeds: recorder.deeds.length,
    faults: Object.fromEntries(recorder.faults),
    objects: objects.all.length,
    equalAfterMs,
    membersChanged,
    sitesDestroyed,
    forked,
    spentMs,
    violations,
    story: violations[0] === undefined ? [] : [...story(recorder, violations[0].object), ...lastWarnings(recorder)],
  };
}

/** Faults for so many seconds, and for as many more while members come and go. */
async function hurt(parts: Parameters<typeof runSeed>[0] & { random: Random; membersChanged: boolean }) {
  const { world, recorder, random, seconds, kinds } = parts;
  const begin = performance.now();
  const found: Violation[] = [];
  let changing = parts.membersChanged;
  const changes = changing
    ? changeMembers(world, recorder, random.fork("members"))
        .catch((error: Error) => found.push({ rule: "members come and go", object: "", detail: error.message }))
        .finally(() => {
          changing = false;
        })
    : undefined;
  const going = () => performance.now() - begin < seconds * 1000 * (changing ? 2 : 1);
  await nemesis({ world, recorder, random, lanes, kinds, going });
  await changes;
  return found;
}

/** Replaces what has forked and waits until all that is left is equal. */
async function heal(world: World, recorder: Recorder) {
  const begin = performance.now();
  const names = world.members;
  const { forked, problem } = await replaceForked(world, recorder, names);
  const found = problem === undefined ? await becomeEqual(world, names) : [problem];
  return { found, forked, equalAfterMs: performance.now() - begin };
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
async function becomeEqual(world: World, names: readonly string[]): Promise<readonly Violation[]> {
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
      const rows = await Promise.all(names.map((name) => rowsOf(world, name)));
      const said = (name: string) => JSON.stringify(world.node(name).condition("Serving"));
      const detail = names
        .map((name, at) => `${name}: ${held[at]} ${said(name)} ${differences(rows[0], rows[at])}`)
        .join("\n");
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
): Promise<{ readonly forked: number; readonly problem: Violation | undefined }> {
  // A restarted node knows after its first look at the peers.
  const settled = (name: string) =>
    world
      .node(name)
      .reached("it serves or says why not", ({ conditions }) =>
        conditions?.some(
          ({ type, status, reason }) => type === "Serving" && (status === "True" || reason === "StoreForked"),
        ),
      );
  let forked = 0;
  try {
    await Promise.all(names.map(settled));
    for (const name of names) {
      if (world.node(name).condition("Serving")?.reason !== "StoreForked") continue;
      forked += 1;
      await replace(world, recorder, name);
    }
  } catch (error) {
    const detail = (error as Error).message;
    return { forked, problem: { rule: "a forked node can be replaced", object: "", detail } };
  }
  return { forked, problem: undefined };
}

const digests = `select
  (select string_agg(origin || ' ' || seq, ', ' order by origin) from keyfleet.vector) as vector,
  (select md5(string_agg((id, state, sealed)::text, '' order by id)) from keyfleet.objects) as objects`;
// What only the next version keeps; a node that was upgraded late must have it all.
const digestOfNotes = `, (select md5(string_agg(object::text, '' order by object)) from keyfleet.notes) as notes`;

/** Digest of what a node holds: its vector and its merged state. */
function contents(world: World, name: string): Promise<string> {
  return asked(world, name, world.allUpgraded ? digests + digestOfNotes : digests).then(
    ([row]) => JSON.stringify(row),
    (error: Error) => `cannot be read: ${error.message}`,
  );
}

/** Each object's merged state; empty when the node cannot be asked. */
async function rowsOf(world: World, name: string): Promise<ReadonlyMap<string, string>> {
  const rows = await asked(world, name, "select id, state, md5(sealed) as sealed from keyfleet.objects").catch(
    () => [],
  );
  return new Map(rows.map(({ id, state, sealed }) => [String(id), `${state} ${sealed}`]));
}

/** Some of what one node holds otherwise than another, for people. */
function differences(one: ReadonlyMap<string, string> = new Map(), other: ReadonlyMap<string, string> = new Map()) {
  const differing = [...new Set([...one.keys(), ...other.keys()])].filter((id) => one.get(id) !== other.get(id));
  const shown = differing.slice(0, 3).map((id) => `${id}: ${one.get(id)} | ${other.get(id)}`);
  return differing.length === 0 ? "" : `${differing.length} rows differ: ${shown.join("; ")}`;
}

async function asked(world: World, name: string, query: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({
    host: `${world.node(name).folder}/run/postgres`,
    user: "keyfleet",
    database: "keyfleet",
    connectionTimeoutMillis: 2_000,
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return (await client.query(query)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** A node that serves after healing takes writes too, which being ready to read does not tell. */
async function writeEverywhere(world: World, recorder: Recorder, objects: Objects): Promise<readonly Violation[]> {
  const write = async (node: string): Promise<Violation[]> => {
    const client = new HistoryClient({ ...reader(world, recorder, node), name: `${node}${atEnd}` });
    const { object, outcome, problem } = await client.call("create", "", { note: objects.newNote() });
    client.close();
    if (outcome !== "ok")
      return [{ rule: "every node takes writes after healing", object: "", detail: `${node}: ${problem}` }];
    objects.all.push(object);
    return [];
  };
  return (await Promise.all(world.members.map(write))).flat();
}

function reader(world: World, recorder: Recorder, node: string) {
  return { fleet: world.fleet, recorder, name: finalReader, node, timeoutMs: finalTimeoutMs };
}

/** Every object on one node of those that are left, which are equal, and some of them on each. */
async function readEverything(world: World, recorder: Recorder, objects: Objects): Promise<void> {
  const names = world.members;
  const read = async (node: string, share: readonly string[]) => {
    const client = new HistoryClient(reader(world, recorder, node));
    for (const object of share) for (const verb of ["state", "get"] as const) await client.call(verb, object);
    client.close();
  };
  const [first = "", ...others] = names;
  const some = (rest: number, parts: number) => objects.all.filter((_, at) => at % parts === rest);
  await Promise.all([
    ...Array.from({ length: readersAtOnce }, (_, rest) => read(first, some(rest, readersAtOnce))),
    ...others.map((node, index) => read(node, some(index + 1, 10))),
  ]);
}
