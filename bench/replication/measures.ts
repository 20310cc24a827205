import { setTimeout as pause } from "node:timers/promises";
import type { MeshNode } from "../../node-image/testing/mesh.ts";
import { aCreate, until } from "../../node-image/testing/mesh.ts";
import type { BenchMesh } from "./mesh.ts";

/** Figures of one measurement by their names. */
export type Figures = Readonly<Record<string, number>>;

const batch = 500;
const equalDeadlineMs = 600_000;

/** A write on the first node until it is readable on the slowest, one after another. */
export async function visibility(mesh: BenchMesh, writes: number): Promise<Figures> {
  const [first, ...others] = mesh.nodes;
  if (first === undefined) throw new Error("no node");
  const answered: number[] = [];
  const visible: number[] = [];
  for (let count = 0; count < writes; count += 1) {
    const sentMs = performance.now();
    const write = first.store.write([aCreate()]).then(() => answered.push(performance.now() - sentMs));
    // Its head is known when it is durable here; the answer may come later than the slowest node has it.
    const head = (first.store.vector().get(first.store.incarnation) ?? 0) + 1;
    const holds = ({ store }: MeshNode) => (store.vector().get(first.store.incarnation) ?? 0) >= head;
    while (!others.every(holds)) await pause(1);
    visible.push(performance.now() - sentMs);
    await write;
    await pause(5);
  }
  return {
    writes,
    answerP50Ms: quantile(answered, 0.5),
    answerP99Ms: quantile(answered, 0.99),
    visibleP50Ms: quantile(visible, 0.5),
    visibleP99Ms: quantile(visible, 0.99),
  };
}

/** Writers without pause on so many nodes for so long. */
export async function sustained(
  mesh: BenchMesh,
  options: { readonly writers: number; readonly nodes: number; readonly seconds: number },
): Promise<Figures> {
  const written = mesh.nodes.slice(0, options.nodes);
  const heads = () => written.reduce((sum, { store }) => sum + store.status().head, 0);
  const [beforeHeads, beforeCpu, beforeBytes] = [heads(), mesh.cpuSeconds(), mesh.bytes()];
  const times: number[] = [];
  const startedMs = performance.now();
  const end = startedMs + options.seconds * 1_000;
  await Promise.all(
    Array.from({ length: options.writers }, async (_, index) => {
      const node = written[index % written.length];
      while (performance.now() < end && node !== undefined) {
        const sentMs = performance.now();
        await node.store.write([aCreate()]);
        times.push(performance.now() - sentMs);
      }
    }),
  );
  const tookMs = performance.now() - startedMs;
  await equal(mesh);
  const operations = heads() - beforeHeads;
  const cpu = mesh.cpuSeconds();
  return {
    writers: options.writers,
    writingNodes: options.nodes,
    perSecond: (1_000 * operations) / tookMs,
    answerP50Ms: quantile(times, 0.5),
    answerP99Ms: quantile(times, 0.99),
    equalAfterMs: performance.now() - startedMs - tookMs,
    serversCpuUsPerOperation: (1e6 * (cpu.servers - beforeCpu.servers)) / operations,
    postgresCpuUsPerOperation: (1e6 * (cpu.postgres - beforeCpu.postgres)) / operations,
    ...(beforeBytes === 0 && mesh.bytes() === 0
      ? {}
      : { bytesPerOperationAndPeer: (mesh.bytes() - beforeBytes) / operations / (mesh.nodes.length - 1) }),
  };
}

/** The last node's replication ends while others write; how fast it holds what it missed when it is back. */
export async function catchUp(mesh: BenchMesh, awaySeconds: number): Promise<Figures> {
  const away = mesh.nodes.at(-1);
  const writer = mesh.nodes[0];
  if (away === undefined || writer === undefined) throw new Error("no node");
  await away.postgres.kill();
  let writing = true;
  const before = writer.store.status().head;
  const load = Promise.all(
    Array.from({ length: 16 }, async () => {
      while (writing) await writer.store.write([aCreate()]);
    }),
  );
  await pause(awaySeconds * 1_000);
  const missed = writer.store.status().head - before;
  await away.postgres.start();
  const startedMs = performance.now();
  const origin = writer.store.incarnation;
  const lag = () => writer.store.status().head - (away.store.vector().get(origin) ?? 0);
  await until("it has caught up", () => lag() < 200, equalDeadlineMs);
  const tookMs = performance.now() - startedMs;
  const underWay = writer.store.status().head - before - missed;
  writing = false;
  await load;
  await equal(mesh);
  return {
    awaySeconds,
    missed,
    writtenMeanwhile: underWay,
    tookMs,
    operationsPerSecond: (1_000 * (missed + underWay)) / tookMs,
  };
}

/** A node joins a fleet that holds so many objects and goes on writing. */
export async function joining(mesh: BenchMesh, objects: number): Promise<Figures> {
  const writer = mesh.nodes[0];
  if (writer === undefined) throw new Error("no node");
  const fillMs = performance.now();
  while (writer.store.status().head < objects)
    await Promise.all([1, 2, 3, 4].map(() => writer.store.write(Array.from({ length: batch }, () => aCreate()))));
  await equal(mesh);
  const filledMs = performance.now() - fillMs;
  let joined = false;
  let longestMs = 0;
  const load = (async () => {
    while (!joined) {
      const sentMs = performance.now();
      await writer.store.write([aCreate()]);
      longestMs = Math.max(longestMs, performance.now() - sentMs);
      await pause(20);
    }
  })();
  const startedMs = performance.now();
  const { exchange } = await mesh.add();
  const startMs = performance.now() - startedMs;
  await until("it has caught up", () => exchange.caughtUp(), equalDeadlineMs);
  const joinMs = performance.now() - startedMs - startMs;
  joined = true;
  await load;
  return {
    objects,
    fillPerSecond: (1_000 * objects) / filledMs,
    startMs,
    joinMs,
    objectsPerSecond: (1_000 * objects) / joinMs,
    membersLongestWriteMs: longestMs,
  };
}

/** What the mesh costs while nothing happens. */
export async function idle(mesh: BenchMesh, seconds: number): Promise<Figures> {
  await equal(mesh);
  await pause(2_000);
  const before = mesh.cpuSeconds();
  const startedMs = performance.now();
  await pause(seconds * 1_000);
  const took = (performance.now() - startedMs) / 1_000;
  const cpu = mesh.cpuSeconds();
  return {
    seconds: took,
    serversPercentOfACore: (100 * (cpu.servers - before.servers)) / took,
    postgresPercentOfACore: (100 * (cpu.postgres - before.postgres)) / took,
  };
}

function equal(mesh: BenchMesh): Promise<void> {
  const texts = () => mesh.nodes.map(({ store }) => JSON.stringify([...store.vector()].sort()));
  return until("all nodes are equal", () => new Set(texts()).size === 1, equalDeadlineMs);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
