import { readFileSync } from "node:fs";
import type { Durability, MeshMember, Replication } from "../../node-image/replication/types.ts";
import { testKeyring } from "../../node-image/testing/keyring.ts";
import { type MeshFleet, type MeshNode, meshFleet, until } from "../../node-image/testing/mesh.ts";
import { type SlowLink, slowLink } from "../../node-image/testing/slow-link.ts";

const sites = ["dc1", "dc2", "dc3"];
const ticksPerSecond = 100;

/** A mesh of stores with their replication in this process, each with a PostgreSQL of its own on the disk. */
export interface BenchMesh {
  readonly nodes: readonly MeshNode[];
  readonly exchanges: readonly Replication[];
  /** Adds one more and tells all; resolves when it has begun to pull. */
  add(): Promise<{ node: MeshNode; exchange: Replication }>;
  /** Seconds of a core so far: this process, which is all key servers and the load, and all PostgreSQLs. */
  cpuSeconds(): { readonly servers: number; readonly postgres: number };
  /** Bytes between the nodes so far; only with slow links. */
  bytes(): number;
  stop(): Promise<void>;
}

/** How the mesh is to be. */
export interface MeshOptions {
  readonly nodes: number;
  readonly durability: Durability;
  /** Between any two nodes, through a user-space link; 0: directly over loopback. */
  readonly roundTripMs: number;
  readonly lossShare: number;
}

/** Starts it and waits until all are connected with all. */
export async function startMesh(options: MeshOptions): Promise<BenchMesh> {
  const fleet = await meshFleet(sites, testKeyring());
  const links = new Map<string, SlowLink>();
  const nodes: MeshNode[] = [];
  const exchanges: Replication[] = [];
  try {
    for (let index = 0; index < options.nodes; index += 1) nodes.push(await startOne(fleet, index));
    for (const node of nodes) exchanges.push(await join(node, { nodes, links, options }));
    await connected(exchanges);
  } catch (error) {
    await fleet.stop();
    throw error;
  }
  return {
    nodes,
    exchanges,
    add: async () => {
      const node = await startOne(fleet, nodes.length);
      nodes.push(node);
      for (const other of nodes.slice(0, -1)) await join(other, { nodes, links, options });
      const exchange = await join(node, { nodes, links, options });
      exchanges.push(exchange);
      return { node, exchange };
    },
    cpuSeconds: () => ({
      servers: (process.cpuUsage().user + process.cpuUsage().system) / 1e6,
      postgres: nodes.flatMap(({ postgres }) => postgres.pids()).reduce((sum, pid) => sum + cpuOf(pid), 0),
    }),
    bytes: () => [...links.values()].reduce((sum, link) => sum + link.bytes(), 0),
    stop: async () => {
      await fleet.stop();
      for (const link of links.values()) await link.close();
    },
  };
}

function startOne(fleet: MeshFleet, index: number): Promise<MeshNode> {
  const site = sites[index % sites.length] ?? "dc1";
  return fleet.start(`${site}-${index}`, site, { onDisk: true });
}

interface Wiring {
  readonly nodes: readonly MeshNode[];
  readonly links: Map<string, SlowLink>;
  readonly options: MeshOptions;
}

async function join(node: MeshNode, { nodes, links, options }: Wiring): Promise<Replication> {
  const members: MeshMember[] = [];
  for (const { member } of nodes) {
    const key = `${node.member.name} ${member.name}`;
    const link = links.get(key) ?? (await maybeSlow(member, options));
    if (link !== undefined) links.set(key, link);
    members.push(link === undefined ? member : { ...member, meshPort: link.port });
  }
  return node.join(members, { durability: options.durability });
}

async function maybeSlow(member: MeshMember, options: MeshOptions): Promise<SlowLink | undefined> {
  if (options.roundTripMs === 0) return undefined;
  return slowLink(member.meshPort ?? 0, { oneWayMs: options.roundTripMs / 2, lossShare: options.lossShare });
}

function connected(exchanges: readonly Replication[]): Promise<void> {
  const all = () =>
    exchanges.every((exchange) =>
      exchange.status().peers.every((peer) => peer.connected && peer.acknowledged !== undefined),
    );
  return until("all are connected with all", all, 120_000);
}

/** Seconds that a process has run, with those of its children that have ended. */
function cpuOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ");
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / ticksPerSecond;
  } catch {
    return 0; // It has ended; its parent counts it.
  }
}
