import type { Change } from "../objects/types.ts";
import type { Durability, MeshMember } from "../replication/types.ts";
import { type Random, randomFrom } from "../testing/random-stream.ts";
import { SimulatedNode } from "./node.ts";
import { VirtualTime } from "./virtual-time.ts";

/** A write that was answered: to be found on every member, but for what was destroyed. */
export interface Acknowledged {
  readonly origin: string;
  readonly head: number;
  readonly node: string;
  /** Other sites that the node held for in step when it answered. */
  readonly sites: readonly string[];
  readonly tookMs: number;
}

/** A simulated fleet, its network and what its clients were told. */
export class SimulatedMesh {
  readonly time = new VirtualTime();
  readonly random: Random;
  readonly nodes = new Map<string, SimulatedNode>();
  readonly acknowledged: Acknowledged[] = [];
  /** Promises broken as they were given. */
  readonly broken: string[] = [];
  /** What was done, for people. */
  readonly deeds: string[] = [];
  /** Nodes whose disks were destroyed. */
  readonly destroyed = new Set<string>();
  /** Last sequence of the origins that have departed. */
  readonly fences = new Map<string, number>();
  members: MeshMember[] = [];
  readonly #cuts = new Map<symbol, ReadonlySet<string>>();
  readonly durability: Durability;
  #count = 0;

  constructor(seed: number, durability: Durability) {
    this.random = randomFrom(seed);
    this.durability = durability;
  }

  add(name: string): SimulatedNode {
    const { time, random, nodes } = this;
    const node = new SimulatedNode(name, this.#uuid("a"), {
      time,
      random,
      nodes,
      durability: this.durability,
      open: (from, to) => ![...this.#cuts.values()].some((cut) => cut.has(`${from} ${to}`)),
      packetMs: () => 0.2 + random.next() ** 4 * 20,
    });
    this.nodes.set(name, node);
    return node;
  }

  /** Members as all documents say from now on; each node hears of it when it does. */
  tell(members: readonly MeshMember[]): void {
    this.members = [...members];
    for (const node of this.nodes.values()) {
      if (!node.running) continue;
      this.time.after(this.random.next() * 300, () => {
        if (node.running) node.update(this.members);
      });
    }
  }

  get live(): readonly SimulatedNode[] {
    return [...this.nodes.values()].filter((node) => this.#isMember(node) && !this.destroyed.has(node.name));
  }

  deed(text: string): void {
    this.deeds.push(`${this.time.nowMs.toFixed(1).padStart(10)} ${text}`);
  }

  /** Takes ways down, each "from to"; what it returns puts them up again. */
  cut(ways: readonly string[]): () => void {
    const key = Symbol("cut");
    this.#cuts.set(key, new Set(ways));
    return () => void this.#cuts.delete(key);
  }

  /** A client of the node writes something; what was promised with the answer is looked at in the same moment. */
  async write(node: SimulatedNode, objects: readonly string[]): Promise<void> {
    const { store, disk } = node;
    const startedMs = this.time.nowMs;
    if (store === undefined) return;
    try {
      const head = await store.write([this.#change(objects)]);
      if (node.store === store)
        this.#answered(node, { origin: disk.incarnation, head, tookMs: this.time.nowMs - startedMs });
    } catch {
      // Not answered: nothing was promised.
    }
  }

  newObject(): string {
    return this.#uuid("b");
  }

  #answered(node: SimulatedNode, { origin, head, tookMs }: { origin: string; head: number; tookMs: number }): void {
    const steps = node.exchange?.status().sites ?? [];
    const sites = steps.filter(({ inStep }) => inStep).map(({ site }) => site);
    this.acknowledged.push({ origin, head, node: node.name, sites, tookMs });
    const holders = (site: string) =>
      [...this.nodes.values()].filter(
        (other) => other.site === site && (other.disk.log(origin).at(-1)?.seq ?? 0) >= head,
      );
    const empty = sites.filter((site) => holders(site).length === 0 && !this.#wasDestroyed(site));
    const tooFew =
      this.durability === "EverySite" ? empty.length > 0 : sites.length > 0 && empty.length === sites.length;
    if (this.durability !== "Local" && tooFew)
      this.broken.push(
        `${node.name} answered ${head} of its log at ${this.time.nowMs.toFixed(1)}, which ${empty.join(", ")}, in step, does not hold`,
      );
  }

  #wasDestroyed(site: string): boolean {
    return [...this.destroyed].some((name) => this.nodes.get(name)?.site === site);
  }

  #isMember({ name, disk }: SimulatedNode): boolean {
    return this.members.some(
      (member) => member.name === name && member.standing === "Member" && member.incarnation === disk.incarnation,
    );
  }

  #change(objects: readonly string[]): Change {
    const { random } = this;
    const id = random.pick(objects);
    if (random.chance(0.4))
      return {
        kind: "create",
        id: this.newObject(),
        owner: "CN=app",
        objectType: 2,
        sealed: Buffer.alloc(random.chance(0.05) ? 9_000 : 20),
        facts: 0,
        attributes: {},
      };
    if (random.chance(0.5)) return { kind: "change", id, facts: 1 << random.between(0, 3), attributes: {} };
    return { kind: "change", id, facts: 0, attributes: { "x-note": [this.#number()] } };
  }

  #number(): number {
    this.#count += 1;
    return this.#count;
  }

  #uuid(kind: string): string {
    return `${kind}0000000-0000-4000-8000-${this.#number().toString(16).padStart(12, "0")}`;
  }
}
