import { setTimeout as pause } from "node:timers/promises";
import { type BenchMesh, type CpuOfNode, type CpuSeconds, eventually } from "./mesh.ts";
import type { RemoteNode } from "./remote-node.ts";

/** Figures of one measurement by their names. */
export type Figures = Readonly<Record<string, number>>;

// For so long V8 goes on compiling what several processes on two cores do.
const warmUpMs = 8_000;

/** A write on the first node until it is readable on the slowest, one after another. */
export async function visibility(mesh: BenchMesh, writes: number): Promise<Figures> {
  const [first, ...others] = mesh.nodes;
  if (first === undefined) throw new Error("no node");
  const origin = (await first.ask("member")).incarnation as string;
  const answered: number[] = [];
  const visible: number[] = [];
  for (let count = -warmUpWrites; count < writes; count += 1) {
    const seq = new Map(await first.ask("vector")).get(origin) ?? 0;
    const everywhere = Promise.all(others.map((node) => node.ask("holds", { origin, seq: seq + 1 })));
    const { sentMs, answeredMs } = await first.ask("write");
    const heldMs = Math.max(...(await everywhere));
    await pause(5);
    if (count < 0) continue;
    answered.push(answeredMs - sentMs);
    visible.push(heldMs - sentMs);
  }
  return {
    writes,
    answerP50Ms: quantile(answered, 0.5),
    answerP99Ms: quantile(answered, 0.99),
    visibleP50Ms: quantile(visible, 0.5),
    visibleP99Ms: quantile(visible, 0.99),
  };
}

const warmUpWrites = 30;

/** Writers without pause on so many nodes for so long. */
export async function sustained(
  mesh: BenchMesh,
  options: { readonly writers: number; readonly nodes: number; readonly seconds: number },
): Promise<Figures> {
  const written = mesh.nodes.slice(0, options.nodes);
  await load(written, { ...options, ms: warmUpMs });
  await equal(mesh);
  const [before, beforeBytes] = [await mesh.cpu(), mesh.bytes()];
  const { times, tookMs } = await load(written, { ...options, ms: options.seconds * 1_000 });
  const loaded = await mesh.cpu();
  const endedMs = performance.now();
  await equal(mesh);
  const equalAfterMs = performance.now() - endedMs;
  const operations = times.length;
  const bytes = mesh.bytes() - beforeBytes;
  return {
    writers: options.writers,
    writingNodes: options.nodes,
    perSecond: (1_000 * operations) / tookMs,
    answerP50Ms: quantile(times, 0.5),
    answerP99Ms: quantile(times, 0.99),
    equalAfterMs,
    ...(options.nodes === 1 ? shareOfOne(before, loaded, operations) : {}),
    ...costs(before, await mesh.cpu(), { operations, nodes: mesh.nodes.length }),
    ...(bytes === 0 ? {} : { bytesPerOperationAndPeer: bytes / operations / (mesh.nodes.length - 1) }),
  };
}

/** The first node's own work, and what it alone could do with a core for its key server and another for its database. */
function shareOfOne(before: CpuSeconds, after: CpuSeconds, operations: number): Figures {
  const [server, postgres] = between(before.first, after.first).map((seconds) => (1e6 * seconds) / operations);
  return {
    writerServerUs: server as number,
    writerPostgresUs: postgres as number,
    perSecondOnTwoCores: 2e6 / ((server as number) + (postgres as number)),
    perSecondOnACoreEach: 1e6 / Math.max(server as number, postgres as number),
  };
}

function costs(before: CpuSeconds, after: CpuSeconds, of: { operations: number; nodes: number }): Figures {
  const [server, postgres] = between(before.all, after.all) as [number, number];
  return {
    serversUsPerOperation: (1e6 * server) / of.operations,
    postgresUsPerOperation: (1e6 * postgres) / of.operations,
    usPerOperationAndNode: (1e6 * (server + postgres)) / of.operations / of.nodes,
  };
}

function between(before: CpuOfNode, after: CpuOfNode): readonly number[] {
  return [after.server - before.server, after.postgres - before.postgres];
}

async function load(
  nodes: readonly RemoteNode[],
  options: { readonly writers: number; readonly ms: number },
): Promise<{ readonly times: readonly number[]; readonly tookMs: number }> {
  const startedMs = performance.now();
  await Promise.all(nodes.map((node) => node.ask("startLoad", { writers: Math.ceil(options.writers / nodes.length) })));
  await pause(options.ms);
  const results = await Promise.all(nodes.map((node) => node.ask("stopLoad")));
  return { times: results.flatMap(({ times }) => times), tookMs: performance.now() - startedMs };
}

/** The last node's database ends while another writes so much; how fast it holds what it missed when it is back. */
export async function catchUp(
  mesh: BenchMesh,
  options: { readonly away: number; readonly rate: number },
): Promise<Figures> {
  const [writer, away] = [mesh.nodes[0], mesh.nodes.at(-1)];
  if (away === undefined || writer === undefined) throw new Error("no node");
  const origin = (await writer.ask("member")).incarnation as string;
  const position = async (node: RemoteNode) => new Map(await node.ask("vector")).get(origin) ?? 0;
  const before = await position(writer);
  await away.ask("killDatabase");
  // A little less than the rate, since each write takes a moment itself.
  const writers = 16;
  await writer.ask("startLoad", { writers, pauseMs: (1_000 * writers) / options.rate });
  await pause(options.away * 1_000);
  const cpu = await mesh.cpu();
  await away.ask("startDatabase");
  const startedMs = performance.now();
  const missed = (await position(writer)) - before;
  let lag = missed;
  await eventually("it has caught up", async () => {
    lag = (await position(writer)) - (await position(away));
    return lag < options.rate / 10;
  });
  const tookMs = performance.now() - startedMs;
  const { times } = await writer.ask("stopLoad");
  await equal(mesh);
  const [server, postgres] = between(cpu.last, (await mesh.cpu()).last) as [number, number];
  const taken = (await position(away)) - before;
  return {
    awaySeconds: options.away,
    missed,
    writtenPerSecond: missed / options.away,
    tookMs,
    perSecond: (1_000 * taken) / tookMs,
    serverUs: (1e6 * server) / taken,
    postgresUs: (1e6 * postgres) / taken,
    writersLongestMs: longestOf(times),
  };
}

/** A node joins a fleet that holds so many objects and goes on writing, with so many ms between two writes of each member. */
export async function joining(
  mesh: BenchMesh,
  { objects, probe: pauseMs }: { readonly objects: number; readonly probe: number },
): Promise<Figures> {
  const probe = { writers: 1, pauseMs };
  const writer = mesh.nodes[0];
  if (writer === undefined) throw new Error("no node");
  const fillMs = performance.now();
  await writer.ask("fill", objects);
  await equal(mesh);
  const filledMs = performance.now() - fillMs;
  const joiner = await mesh.prepare();
  const members = mesh.nodes.filter((node) => node !== joiner);
  const before = await mesh.cpu();
  for (const member of members) await member.ask("startLoad", probe);
  await pause(probeAloneMs);
  const alone = await Promise.all(members.map((member) => member.ask("stopLoad")));
  for (const member of members) await member.ask("startLoad", probe);
  const startedMs = performance.now();
  await mesh.admit(joiner, "Joining");
  await eventually("it has caught up", () => joiner.ask("caughtUp"));
  const joinMs = performance.now() - startedMs;
  const cpu = await mesh.cpu();
  const during = await Promise.all(members.map((member) => member.ask("stopLoad")));
  for (const member of members) await member.ask("startLoad", probe);
  await mesh.admit(joiner, "Member");
  await pause(probeAloneMs);
  const after = await Promise.all(members.map((member) => member.ask("stopLoad")));
  const longest = (loads: typeof during) => longestOf(loads.flatMap(({ times }) => times));
  const per = (seconds: number) => (1e6 * seconds) / objects;
  const [server, postgres] = between(before.last, cpu.last) as [number, number];
  const [servers, databases] = between(before.all, cpu.all) as [number, number];
  return {
    objects,
    fillPerSecond: (1_000 * objects) / filledMs,
    joinMs,
    objectsPerSecond: (1_000 * objects) / joinMs,
    joinerServerUs: per(server),
    joinerPostgresUs: per(postgres),
    membersUs: per(servers + databases - server - postgres),
    membersLongestWriteMs: longest(during),
    // No longer than this can the key servers' own threads have had their part in it: the rest is PostgreSQL, disk and processors.
    membersLongestTurnMs: longestOf(during.map(({ longestTurnMs }) => longestTurnMs)),
    beforeTheJoinMs: longest(alone),
    afterTheJoinMs: longest(after),
  };
}

const probeAloneMs = 3_000;

/** What the mesh costs while nothing happens, once all that follows a start or a write is over. */
export async function idle(
  mesh: BenchMesh,
  { rest, idle }: { readonly rest: number; readonly idle: number },
): Promise<Figures> {
  await equal(mesh);
  await pause(rest * 1_000);
  const before = await mesh.cpu();
  const startedMs = performance.now();
  await pause(idle * 1_000);
  const [server, postgres] = between(before.all, (await mesh.cpu()).all) as [number, number];
  const took = (performance.now() - startedMs) / 1_000;
  return {
    seconds: took,
    serversPercentOfACore: (100 * server) / took,
    postgresPercentOfACore: (100 * postgres) / took,
    percentOfACore: (100 * (server + postgres)) / took,
  };
}

function equal(mesh: BenchMesh): Promise<void> {
  return eventually("all nodes are equal", async () => {
    const vectors = await Promise.all(mesh.nodes.map((node) => node.ask("vector")));
    return new Set(vectors.map((vector) => JSON.stringify(vector))).size === 1;
  });
}

/** Of however many: as arguments of a call a quarter of a million are too many. */
function longestOf(values: readonly number[]): number {
  return values.reduce((longest, value) => Math.max(longest, value), 0);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
