import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { Durability, MeshMember } from "../../node-image/replication/types.ts";
import { testKeyring } from "../../node-image/testing/keyring.ts";
import { type MeshFleet, meshFleet } from "../../node-image/testing/mesh.ts";
import { type SlowLink, slowLink } from "../../node-image/testing/slow-link.ts";
import { NodeHost, RemoteNode } from "./remote-node.ts";

const sites = ["dc1", "dc2", "dc3"];
/** Processes of the nodes behind the first, which has one of its own, as has whoever joins later. */
const otherHostsMax = 5;
/** Databases that are made at once. */
const startsMax = 3;

/** A mesh of stores with their replication in processes of their own, each store with a PostgreSQL on the disk. */
export interface BenchMesh {
  readonly nodes: readonly RemoteNode[];
  /** Starts one more node that nobody knows yet. */
  prepare(): Promise<RemoteNode>;
  /** Lets a prepared node join, and later be a member: tells all. */
  admit(node: RemoteNode, standing: "Joining" | "Member"): Promise<void>;
  /** Seconds of a core so far. */
  cpu(): Promise<CpuSeconds>;
  /** Bytes between the nodes so far; only with slow links. */
  bytes(): number;
  stop(): Promise<void>;
}

/** Of the first node, which is the one that writes where one writes, of the last one, and of all others together. */
export interface CpuSeconds {
  readonly first: CpuOfNode;
  readonly last: CpuOfNode;
  readonly all: CpuOfNode;
}

/** The key server's part with the load on it, and its PostgreSQL's. */
export interface CpuOfNode {
  readonly server: number;
  readonly postgres: number;
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
  const mesh = new Mesh(await meshFleet(sites, testKeyring()), options);
  try {
    await mesh.begin();
  } catch (error) {
    await mesh.stop();
    throw error;
  }
  return mesh;
}

class Mesh implements BenchMesh {
  readonly nodes: RemoteNode[] = [];
  readonly #fleet: MeshFleet;
  readonly #options: MeshOptions;
  readonly #hosts: NodeHost[] = [];
  readonly #members: MeshMember[] = [];
  readonly #links = new Map<string, SlowLink>();
  readonly #masterKey = randomBytes(32);

  constructor(fleet: MeshFleet, options: MeshOptions) {
    this.#fleet = fleet;
    this.#options = options;
  }

  async begin(): Promise<void> {
    const amount = this.#options.nodes;
    for (let index = 0; index < Math.min(amount, 1 + otherHostsMax); index += 1) this.#hosts.push(new NodeHost());
    for (let index = 0; index < amount; index += startsMax) {
      const some = Array.from({ length: Math.min(startsMax, amount - index) }, (_, at) => index + at);
      this.nodes.push(...(await Promise.all(some.map((each) => this.#start(each, this.#hostOf(each))))));
    }
    for (const node of this.nodes) this.#members.push(await node.ask("member"));
    for (const node of this.nodes) await this.#tell(node);
    await this.#connected();
  }

  async prepare(): Promise<RemoteNode> {
    const host = new NodeHost();
    this.#hosts.push(host);
    const node = await this.#start(this.nodes.length, host);
    this.nodes.push(node);
    return node;
  }

  async admit(node: RemoteNode, standing: "Joining" | "Member"): Promise<void> {
    const member: MeshMember = { ...(await node.ask("member")), standing };
    const at = this.#members.findIndex(({ name }) => name === node.name);
    this.#members.splice(at < 0 ? this.#members.length : at, 1, member);
    for (const each of this.nodes) await this.#tell(each);
  }

  async cpu(): Promise<CpuSeconds> {
    const servers = await Promise.all(this.#hosts.map((host) => host.cpuSeconds()));
    const postgres = await Promise.all(this.nodes.map((node) => node.ask("postgresCpuSeconds")));
    const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
    return {
      first: { server: servers[0] ?? 0, postgres: postgres[0] ?? 0 },
      last: { server: servers.at(-1) ?? 0, postgres: postgres.at(-1) ?? 0 },
      all: { server: sum(servers), postgres: sum(postgres) },
    };
  }

  bytes(): number {
    return [...this.#links.values()].reduce((sum, link) => sum + link.bytes(), 0);
  }

  async stop(): Promise<void> {
    await Promise.allSettled(this.nodes.map((node) => node.ask("stop")));
    for (const host of this.#hosts) await host.end();
    for (const link of this.#links.values()) await link.close();
    await this.#fleet.stop();
  }

  #hostOf(index: number): NodeHost {
    return this.#hosts[index === 0 ? 0 : 1 + ((index - 1) % otherHostsMax)] as NodeHost;
  }

  async #start(index: number, host: NodeHost): Promise<RemoteNode> {
    const site = sites[index % sites.length] as string;
    const name = `${site}-${index}`;
    const tls = await this.#fleet.certificate(site, { site, name });
    return RemoteNode.start(host, { name, site, tls, masterKey: this.#masterKey });
  }

  async #tell(node: RemoteNode): Promise<void> {
    const members: MeshMember[] = [];
    for (const member of this.#members) members.push(await this.#over(node, member));
    await node.ask("join", { members, durability: this.#options.durability });
  }

  /** The member as this node reaches it. */
  async #over(node: RemoteNode, member: MeshMember): Promise<MeshMember> {
    const { roundTripMs, lossShare } = this.#options;
    if (roundTripMs === 0 || node.name === member.name) return member;
    const key = `${node.name} ${member.name}`;
    const link =
      this.#links.get(key) ?? (await slowLink(member.meshPort ?? 0, { oneWayMs: roundTripMs / 2, lossShare }));
    this.#links.set(key, link);
    return { ...member, meshPort: link.port };
  }

  async #connected(): Promise<void> {
    for (const question of ["connected", "settled"] as const)
      await eventually(`all are ${question}`, async () => {
        const answers = await Promise.all(this.nodes.map((node) => node.ask(question)));
        return answers.every((answer) => answer);
      });
  }
}

const eventuallyMs = 600_000;

/** Waits until the condition holds; fails with the sentence after ten minutes. */
export async function eventually(sentence: string, holds: () => Promise<boolean>, everyMs = 50): Promise<void> {
  const deadline = performance.now() + eventuallyMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${eventuallyMs} ms: ${sentence}`);
    await pause(everyMs);
  }
}
