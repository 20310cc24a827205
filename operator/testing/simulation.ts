import assert from "node:assert/strict";
import type {
  FleetLock,
  KmsCluster,
  KmsNode,
  LockView,
  Observed,
  PassPorts,
  PassResult,
  SiteView,
} from "../ports/types.ts";
import { reconcile } from "../reconcile.ts";
import { aCondition } from "./builders.ts";
import { Crash, SimulatedSite } from "./simulated-site.ts";

const stepMs = 200;
const leaseMs = 15_000;
/** What an informer may lag behind; far below the lease, as in reality. */
const mostStaleMs = 3_000;

interface Snapshot {
  readonly atMs: number;
  readonly nodes: readonly KmsNode[];
  readonly cluster: KmsCluster;
}

/** Three sites, their operators and nodes, in memory, in an order that the seed decides, with crashes and cuts. */
export class Simulation {
  readonly sites: readonly SimulatedSite[];
  readonly #random: () => number;
  readonly #requests: ReadonlyMap<string, string>;
  readonly #snapshots = new Map<string, Snapshot[]>();
  readonly #memberLists = new Map<string, Set<string>>();
  #lock: { holder: string; operation: string; node: string; untilMs: number } | undefined;
  #nowMs = Date.parse("2026-03-01T12:00:00Z");
  #founded = 0;

  constructor(seed: number, cluster: KmsCluster, requests: ReadonlyMap<string, string>) {
    this.#random = mulberry(seed);
    this.#requests = requests;
    const created = new Date(this.#nowMs).toISOString();
    const own = { ...cluster, metadata: { ...cluster.metadata, creationTimestamp: created } };
    this.sites = cluster.spec.sites.map(({ name }) => new SimulatedSite(name, own));
  }

  /** One step in a random order of everything that may happen; then the invariants. */
  async step(faults: boolean): Promise<void> {
    this.#nowMs += stepMs;
    this.#remember();
    const site = this.#pick(this.sites);
    const dice = this.#random();
    if (dice < 0.45) await this.pass(site);
    else if (dice < 0.7) this.#kubernetes(site);
    else if (dice < 0.95 || !faults) this.#nodeWorks(site);
    else this.#fault(site);
    this.#check();
  }

  /** One pass of a site's operator, which may crash in the middle. */
  async pass(site: SimulatedSite): Promise<PassResult | undefined> {
    try {
      return await reconcile("bank", this.#ports(site));
    } catch (error) {
      if (!(error instanceof Crash) && !String(error).includes("was killed")) throw error;
      site.crashAfterWrites = Number.POSITIVE_INFINITY;
      return undefined;
    }
  }

  /** Ends all faults. */
  heal(): void {
    for (const site of this.sites) {
      site.reachable = true;
      site.crashAfterWrites = Number.POSITIVE_INFINITY;
    }
  }

  /** How many nodes belong and serve. */
  serving(): number {
    return this.#all().filter((node) => node.spec.membership.action === "Member" && isServing(node)).length;
  }

  /** Writes of all operators so far. */
  writes(): number {
    return this.sites.reduce((sum, { writes }) => sum + writes, 0);
  }

  /** State of every node, for the message of a test that fails. */
  describe(): string {
    const nodes = this.#all().map(({ metadata, spec }) => `${metadata.name}=${spec.membership.action}`);
    return `${nodes.join(" ")} lock=${JSON.stringify(this.#lock)} ${this.sites.map(({ cluster }) => cluster.status?.message).join(" | ")}`;
  }

  #ports(site: SimulatedSite): PassPorts {
    const clock = { nowMs: () => this.#nowMs, monotonicMs: () => this.#nowMs, after: () => () => {} };
    const quiet = () => {};
    return {
      observe: async () => this.#observed(site),
      api: site.api(),
      lock: this.#lockOf(site),
      log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
      clock,
      nodeImage: { repository: "localhost/keyfleet-node", pullPolicy: "Never" },
      signal: new AbortController().signal,
    };
  }

  #lockOf(site: SimulatedSite): FleetLock {
    const held = () => this.#lock?.holder === site.name && this.#nowMs < this.#lock.untilMs;
    return {
      take: async ({ operation, node }) => {
        const free = this.#lock === undefined || this.#nowMs >= this.#lock.untilMs || held();
        if (!free || !this.#majority(site)) return false;
        this.#lock = { holder: site.name, operation, node, untilMs: this.#nowMs + leaseMs };
        return true;
      },
      isHeld: held,
      release: async () => {
        if (held()) this.#lock = undefined;
      },
    };
  }

  #majority(site: SimulatedSite): boolean {
    return (
      this.sites.filter((other) => other === site || (other.reachable && site.reachable)).length * 2 > this.sites.length
    );
  }

  #observed(site: SimulatedSite): Observed {
    const lock = this.#lock !== undefined && this.#nowMs < this.#lock.untilMs ? this.#lock : undefined;
    const mine = lock?.holder === site.name;
    // Looking at it renews it, as the lock's own loop does.
    if (mine && lock !== undefined && this.#majority(site)) lock.untilMs = this.#nowMs + leaseMs;
    const view: LockView = { heldByMe: mine, holder: lock?.holder, operation: lock?.operation, node: lock?.node };
    return structuredClone({
      site: site.name,
      nowMs: this.#nowMs,
      cluster: site.cluster,
      sites: this.sites.map((other) => this.#viewOf(site, other)),
      lock: view,
      spec: { agrees: true, differences: [], version: "1@dc1", ownedBy: undefined },
      objects: [...site.objects.values()],
      references: new Map([
        ["Secret/hsm-pin", { present: true, keys: ["pin"] }],
        ["ConfigMap/bank-clients", { present: true, keys: ["ca.crt"], data: { "ca.crt": pem } }],
      ]),
    });
  }

  #viewOf(site: SimulatedSite, other: SimulatedSite): SiteView {
    const local = other === site;
    const reachable = local || (other.reachable && site.reachable);
    const now = { cluster: other.cluster, nodes: [...other.nodes.values()] };
    const { cluster, nodes } = local ? now : (this.#past(other) ?? now);
    return {
      name: other.name,
      local,
      reachable,
      ageMs: reachable ? 0 : 5_000,
      problem: reachable ? undefined : "cut",
      cluster,
      nodes,
    };
  }

  /** Another site is seen as it was at some moment of the last seconds. */
  #past(other: SimulatedSite): Snapshot | undefined {
    const kept = (this.#snapshots.get(other.name) ?? []).filter(({ atMs }) => atMs >= this.#nowMs - mostStaleMs);
    return kept.length === 0 ? undefined : this.#pick(kept);
  }

  #remember(): void {
    for (const site of this.sites) {
      const snapshot = { atMs: this.#nowMs, nodes: structuredClone([...site.nodes.values()]), cluster: site.cluster };
      const kept = (this.#snapshots.get(site.name) ?? []).filter(({ atMs }) => atMs >= this.#nowMs - mostStaleMs);
      this.#snapshots.set(site.name, [...kept, snapshot]);
    }
  }

  /** The site's own controllers: addresses for Services, pods for StatefulSets. */
  #kubernetes(site: SimulatedSite): void {
    for (const object of site.objects.values()) {
      if (object.kind === "Service" && object.status === undefined) {
        object.status = { loadBalancer: { ingress: [{ ip: addressOf(object.metadata.name) }] } };
        return;
      }
      if (object.kind !== "StatefulSet" || site.objects.has(`Pod/${object.metadata.name}-0`)) continue;
      const metadata = { name: `${object.metadata.name}-0`, creationTimestamp: new Date(this.#nowMs).toISOString() };
      site.objects.set(`Pod/${metadata.name}`, { apiVersion: "v1", kind: "Pod", metadata, status: {} });
      return;
    }
  }

  /** One node does the next thing that its document asks for. */
  #nodeWorks(site: SimulatedSite): void {
    const running = [...site.nodes.values()].filter(({ metadata }) => site.objects.has(`Pod/${metadata.name}-0`));
    if (running.length === 0) return;
    const node = this.#pick(running);
    const { name } = node.metadata;
    const volume = site.volumes.get(name) ?? {};
    site.volumes.set(name, volume);
    const { action } = node.spec.membership;
    if (action === "Found" && volume.clusterId === undefined && this.#random() < 0.5) {
      this.#founded += 1;
      volume.clusterId = `fleet-${this.#founded}`;
    }
    const admitted = action === "Join" && this.#sponsorKnows(node) && this.#random() < 0.5;
    if (admitted && node.spec.clusterId !== undefined) volume.clusterId = node.spec.clusterId;
    const serves = action === "Member" && volume.clusterId !== undefined;
    this.#report(site, node, { serves, ...volume });
  }

  #sponsorKnows(joiner: KmsNode): boolean {
    const sponsor = this.#all().find(({ metadata }) => metadata.name === joiner.spec.membership.sponsor);
    const listed = sponsor?.spec.members.find(({ name }) => name === joiner.metadata.name);
    return listed?.joinPublicKey !== undefined && listed.joinPublicKey === joiner.status?.joinPublicKey;
  }

  #report(site: SimulatedSite, node: KmsNode, { serves, clusterId }: { serves: boolean; clusterId?: string }): void {
    const { name } = node.metadata;
    const belongs = clusterId !== undefined;
    node.status = {
      version: "0.1.0",
      certificateRequest: this.#requests.get(name) ?? "",
      joinPublicKey: `key of ${name}`,
      ...(clusterId === undefined ? {} : { clusterId, incarnation: `log of ${name}` }),
      conditions: [
        aCondition("Serving", serves ? "True" : "False", serves ? "Serving" : "AwaitingMembership"),
        aCondition("RootOfTrust", "True", "Ready"),
        aCondition("TimeSynchronised", "True", "Synchronised"),
        aCondition("Replicating", belongs ? "True" : "False", belongs ? "CaughtUp" : "NotAMember"),
      ],
    };
    const pod = site.objects.get(`Pod/${name}-0`);
    if (pod) pod.status = { conditions: [{ type: "Ready", status: serves ? "True" : "False" }] };
  }

  #fault(site: SimulatedSite): void {
    const victims = [...site.objects.values()].filter(({ kind }) => kind !== "Secret");
    const kind = this.#pick(["cut", "crash", "object", "node"] as const);
    if (kind === "cut") site.reachable = !site.reachable;
    if (kind === "crash") site.crashAfterWrites = Math.floor(this.#random() * 4);
    if (kind === "object" && victims.length > 0) {
      const victim = this.#pick(victims);
      site.remove(victim.kind, victim.metadata.name);
    }
    const members = [...site.nodes.values()].filter(({ spec }) => spec.membership.action === "Member");
    // A KmsNode deleted by hand; the node's volume stays.
    if (kind === "node" && members.length > 0 && this.#random() < 0.3) {
      const { name } = this.#pick(members).metadata;
      site.remove("KmsNode", name);
      this.#memberLists.delete(name);
    }
  }

  #check(): void {
    const all = this.#all();
    const begun = all.filter(({ spec }) => spec.membership.action === "Join" || spec.membership.action === "Found");
    assert.ok(begun.length <= 1, `two at once: ${this.describe()}`);
    assert.ok(this.#founded <= 1, `founded twice: ${this.describe()}`);
    for (const { metadata, spec } of all) {
      const members = new Set(spec.members.filter(({ standing }) => standing === "Member").map(({ name }) => name));
      for (const known of this.#memberLists.get(metadata.name) ?? [])
        assert.ok(members.has(known), `${metadata.name} forgot ${known}: ${this.describe()}`);
      this.#memberLists.set(metadata.name, members);
    }
  }

  #all(): KmsNode[] {
    return this.sites.flatMap(({ nodes }) => [...nodes.values()]);
  }

  #pick<Value>(from: readonly Value[]): Value {
    return from[Math.floor(this.#random() * from.length)] as Value;
  }
}

const pem = "-----BEGIN CERTIFICATE-----\nQ0xJRU5UUw==\n-----END CERTIFICATE-----\n";

function isServing(node: KmsNode): boolean {
  return node.status?.conditions?.some(({ type, status }) => type === "Serving" && status === "True") ?? false;
}

/** The same Service gets the same address again, so that nothing depends on the order of allocation. */
function addressOf(service: string): string {
  const sum = [...service].reduce((total, letter) => (total * 31 + letter.charCodeAt(0)) % 65_000, 7);
  return `10.0.${Math.floor(sum / 256)}.${sum % 256}`;
}

/** A small seeded generator (mulberry32): a failing seed is the bug report. */
function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
