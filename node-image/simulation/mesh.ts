import type { Change } from "../objects/types.ts";
import type { Durability, MeshMember } from "../replication/types.ts";
import type { Operation } from "../store/types.ts";
import { type Random, randomFrom } from "../testing/random-stream.ts";
import { Effects } from "./effects.ts";
import { SimulatedNode } from "./node.ts";
import { VirtualTime } from "./virtual-time.ts";

/** A write that was answered: to be found on every member, but for what was destroyed. */
export interface Acknowledged {
  readonly origin: string;
  readonly head: number;
  readonly mac: string;
  readonly atMs: number;
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
  /** Nodes whose disks were destroyed, emptied or set back, and when that was last. */
  readonly lostMs = new Map<string, number>();
  /** Sites whose nodes hear of no change of the members. */
  readonly deaf = new Set<string>();
  /** Origin → by sequence what was written as that: more than one operation where a node was set back. */
  readonly #written = new Map<string, Operation[][]>();
  /** How often what is rare came about. */
  readonly counts = { forked: 0, renewed: 0, snapshots: 0, pruned: 0, departed: 0 };
  readonly effects = new Effects();
  members: MeshMember[] = [];
  readonly #cuts = new Map<string, number>();
  readonly durability: Durability;
  #count = 0;

  constructor(seed: number, durability: Durability) {
    this.random = randomFrom(seed);
    this.durability = durability;
  }

  add(name: string): SimulatedNode {
    const { time, random, nodes } = this;
    const node = new SimulatedNode(name, this.newIncarnation(), {
      time,
      random,
      nodes,
      durability: this.durability,
      open: (way) => !this.#cuts.has(way),
      effects: this.effects,
      packetMs: () => 0.2 + random.next() ** 4 * 20,
      appended: (at, operations) => this.#appended(at, operations),
      renewed: (of) => this.#renewed(of),
    });
    this.nodes.set(name, node);
    return node;
  }

  /** The first members: all of them run, and know of each other. */
  begin(names: readonly string[]): readonly SimulatedNode[] {
    const nodes = names.map((name) => this.add(name));
    this.members = nodes.map(({ member }) => member);
    for (const node of nodes) node.start(this.members);
    return nodes;
  }

  /** Members as all documents say from now on; each node hears of it when it does. */
  tell(members: readonly MeshMember[]): void {
    this.members = [...members];
    for (const node of this.nodes.values()) {
      if (!node.running || this.deaf.has(node.site)) continue;
      this.time.after(this.random.next() * 300, () => {
        if (node.running && !this.deaf.has(node.site)) node.update(this.members);
      });
    }
  }

  get live(): readonly SimulatedNode[] {
    return [...this.nodes.values()].filter((node) => this.#isMember(node) && !this.destroyed.has(node.name));
  }

  /** The list says something else of the node of that name. */
  list(name: string, change: Partial<MeshMember>): void {
    this.tell(this.members.map((member) => (member.name === name ? { ...member, ...change } : member)));
  }

  /** The disk of the node is not any more what it was. */
  lose(name: string): void {
    this.lostMs.set(name, this.time.nowMs);
  }

  /** What was written as that operation of that log. */
  versions(origin: string, seq: number): readonly Operation[] {
    return this.#written.get(origin)?.[seq] ?? [];
  }

  deed(text: string): void {
    this.deeds.push(`${this.time.nowMs.toFixed(1).padStart(10)} ${text}`);
  }

  /** Takes ways down, each "from to"; what it returns puts them up again. */
  cut(ways: readonly string[]): () => void {
    const cut = [...new Set(ways)];
    for (const way of cut) this.#cuts.set(way, (this.#cuts.get(way) ?? 0) + 1);
    return () => {
      for (const way of cut.splice(0)) {
        const left = (this.#cuts.get(way) ?? 1) - 1;
        if (left > 0) this.#cuts.set(way, left);
        else this.#cuts.delete(way);
      }
    };
  }

  /** Every way between these nodes and the others. */
  around(inside: readonly SimulatedNode[]): string[] {
    const outside = [...this.nodes.values()].filter((node) => !inside.includes(node));
    return inside.flatMap((one) =>
      outside.flatMap((other) => [`${one.name} ${other.name}`, `${other.name} ${one.name}`]),
    );
  }

  /** A client of the node writes something; what was promised with the answer is looked at in the same moment. */
  async write(node: SimulatedNode, objects: readonly string[]): Promise<void> {
    const { store, disk } = node;
    const startedMs = this.time.nowMs;
    if (store === undefined || !node.serves()) return;
    try {
      const head = await store.write([this.#change(objects)]);
      if (node.store === store)
        this.#answered(node, { origin: disk.incarnation, head, tookMs: this.time.nowMs - startedMs });
    } catch {
      // Not answered: nothing was promised.
    }
  }

  newIncarnation(): string {
    return this.#uuid("a");
  }

  newObject(): string {
    return this.#uuid("b");
  }

  #appended(node: SimulatedNode, operations: readonly Operation[]): void {
    const { incarnation } = node.disk;
    const written = this.#written.get(incarnation) ?? [];
    this.#written.set(incarnation, written);
    for (const operation of operations)
      if (operation.origin === incarnation) written[operation.seq] = [...(written[operation.seq] ?? []), operation];
  }

  #renewed(node: SimulatedNode): string {
    const incarnation = this.#uuid("a");
    this.counts.renewed += 1;
    this.deed(`${node.name} begins a log of a new name`);
    this.time.after(this.random.next() * 1_000, () => this.list(node.name, { incarnation }));
    return incarnation;
  }

  #answered(node: SimulatedNode, { origin, head, tookMs }: { origin: string; head: number; tookMs: number }): void {
    const steps = node.exchange?.status().sites ?? [];
    const inStep = steps.filter((step) => step.inStep).map(({ site }) => site);
    // One that comes back in step in the very moment of the answer was not waited for.
    const waitedFor = inStep.filter((site) => node.stepped.get(site) !== this.time.nowMs);
    const sites = this.durability === "OtherSite" ? inStep : waitedFor;
    const startedMs = this.time.nowMs - tookMs;
    const mac = this.versions(origin, head).at(-1)?.mac.toString("hex") ?? "";
    this.acknowledged.push({ origin, head, mac, atMs: this.time.nowMs, node: node.name, sites, tookMs });
    const holders = (site: string) =>
      [...this.nodes.values()].filter((other) => other.site === site && other.disk.position(origin) >= head);
    const empty = sites.filter((site) => holders(site).length === 0 && !this.#wasLost(site, startedMs));
    const tooFew =
      this.durability === "EverySite" ? empty.length > 0 : waitedFor.length > 0 && empty.length === sites.length;
    if (this.durability !== "Local" && tooFew)
      this.broken.push(
        `${node.name} answered ${head} of its log at ${this.time.nowMs.toFixed(1)}, which ${empty.join(", ")}, in step, does not hold`,
      );
  }

  /** Some disk of the site is not what it was when the write began: it may have held what it does not hold now. */
  #wasLost(site: string, startedMs: number): boolean {
    return [...this.lostMs].some(([name, atMs]) => name.startsWith(`${site}-`) && atMs >= startedMs);
  }

  #isMember(node: SimulatedNode): boolean {
    const listed = this.members.some(({ name, standing }) => name === node.name && standing === "Member");
    return listed && this.nodes.get(node.name) === node;
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
