import { startReplication } from "../replication/replication.ts";
import type { Surroundings } from "../replication/surroundings.ts";
import type { Durability, MeshMember, Replication } from "../replication/types.ts";
import { aheadMaxMs } from "../store/clock.ts";
import type { NodeStore, Operation } from "../store/types.ts";
import { toWire } from "../store/wire.ts";
import type { Random } from "../testing/random-stream.ts";
import { Disk } from "./disk.ts";
import type { Effects } from "./effects.ts";
import type { Lie } from "./lies.ts";
import { Link } from "./link.ts";
import { markOf, pageOf } from "./simulated-intake.ts";
import { SimulatedStore } from "./simulated-store.ts";
import type { VirtualTime } from "./virtual-time.ts";

const tls = { certificateChainPem: "", privateKeyPem: "", trustBundlePem: "" };
const epochMs = 1_800_000_000_000;
const stuckMs = 50;
const peersGraceMs = 3_000;
// So short that logs are pruned, members given up and snapshots taken within a schedule.
const limits = { keepMs: 1_500, absentMs: 4_000, pruneEveryMs: 700, emptyTakesFrom: 40 } as const;

/** What all nodes of a simulation share. */
export interface Common {
  readonly time: VirtualTime;
  readonly random: Random;
  readonly durability: Durability;
  /** Whether packets get through now; a way is "from to". */
  readonly open: (way: string) => boolean;
  readonly nodes: ReadonlyMap<string, SimulatedNode>;
  readonly packetMs: () => number;
  readonly effects: Effects;
  /** Operations are on the disk of the node. */
  readonly appended: (node: SimulatedNode, operations: readonly Operation[]) => void;
  /** A name for a new log of the node. */
  readonly renewed: (node: SimulatedNode) => string;
}

/** One node: the real replication of its key server, on a simulated disk and network. */
export class SimulatedNode {
  readonly name: string;
  readonly site: string;
  readonly identity: string;
  /** PostgreSQL answers its peers. */
  reachable = false;
  /** How long a transaction takes at most, ms. */
  commitMaxMs = 4;
  clockOffMs = 0;
  /** What its database answers instead of the truth. */
  lie: Lie | undefined;
  /** Of a snapshot it sends one object at a time, each so late that the connection just lives; 0: all there is, at once. */
  trickleMs = 0;
  #toldBefore: readonly Record<string, unknown>[] = [];
  /** Its machine stops when the next operations of its own are on the disk, before anybody hears of that. */
  crashesAtCommit = false;
  disk: Disk;
  store: SimulatedStore | undefined;
  exchange: Replication | undefined;
  members: readonly MeshMember[] = [];
  readonly #common: Common;
  /** When a site came in or out of step last, as this node sees it. */
  readonly stepped = new Map<string, number>();
  /** Snapshots that it took. */
  snapshots = 0;
  readonly #links = new Set<Link>();
  #life = 0;
  #serving = false;
  #startedMs = 0;
  #pausedUntilMs = 0;
  #acknowledgements = 0;

  constructor(name: string, incarnation: string, common: Common) {
    this.name = name;
    this.site = name.split("-")[0] ?? name;
    this.identity = `CN=${name},OU=${this.site},O=bank`;
    this.disk = new Disk(incarnation, common.effects);
    this.#common = common;
  }

  get running(): boolean {
    return this.exchange !== undefined;
  }

  /** Whether clients are served: as membership/next-step.ts decides it, a node that starts asks its peers for news first. */
  serves(): boolean {
    const { exchange, store } = this;
    if (exchange === undefined || store === undefined || store.intake.importing !== undefined) return false;
    if (store.blocked !== undefined) return false;
    this.#serving ||= exchange.caughtUp() || this.#common.time.nowMs - this.#startedMs >= peersGraceMs;
    return this.#serving;
  }

  get member(): MeshMember {
    const { name, site, identity } = this;
    return { name, site, identity, address: name, standing: "Member", incarnation: this.disk.incarnation };
  }

  start(members: readonly MeshMember[]): void {
    const { time, random, durability } = this.#common;
    const life = this.#life;
    this.members = members;
    this.reachable = true;
    this.#serving = false;
    this.#startedMs = time.nowMs;
    const after = (ms: number, work: () => void) => this.#after(life, ms, work);
    const store = new SimulatedStore({
      disk: this.disk,
      after,
      commitMs: () => random.next() * this.commitMaxMs,
      wallMs: () => this.#wallMs(),
      steadyMs: () => time.nowMs,
      appended: (operations) => this.#appended(operations),
      renew: () => {
        this.disk.incarnation = this.#common.renewed(this);
      },
      begins: this.disk.fresh,
    });
    this.disk.fresh = false;
    this.store = store;
    this.exchange = startReplication({
      store: store as unknown as NodeStore,
      self: this,
      members,
      tls,
      durability,
      wrapFor: async () => ({ refusal: "nobody joins by hand over" }),
      nowMs: () => time.nowMs,
      onSiteStep: ({ site }) => this.stepped.set(site, time.nowMs),
      log: ({ event }) => {
        if (event === "snapshotTaken") this.snapshots += 1;
      },
      limits,
      surroundings: {
        after,
        random: () => random.next(),
        connect: (options) => this.#connect(life, options),
      },
    });
  }

  /** SIGKILL of everything: what is not on the disk is gone. */
  crash(): void {
    this.#life += 1;
    this.reachable = false;
    this.store = undefined;
    this.exchange = undefined;
    this.disk.positions.clear();
    for (const link of this.#links) link.reset();
    this.#links.clear();
  }

  /** Its disk is exchanged for an image of before while it does not run. */
  setBack(image: Disk): void {
    this.disk = image;
  }

  /** SIGKILL of PostgreSQL alone. */
  databaseLost(): void {
    this.reachable = false;
    this.disk.positions.clear();
    this.store?.databaseLost();
    for (const link of this.#links) link.reset();
    this.#links.clear();
  }

  databaseBack(): void {
    if (!this.running) return;
    this.reachable = true;
    this.store?.databaseBack();
  }

  /** The key server does nothing for so long. */
  pause(ms: number): void {
    this.#pausedUntilMs = this.#common.time.nowMs + ms;
  }

  update(members: readonly MeshMember[]): void {
    this.members = members;
    this.exchange?.updatePeers(members, tls);
    for (const link of [...this.#links]) if (!this.#admits(link)) link.reset();
  }

  /** PostgreSQL's door for peers; throws when it is shut. */
  admit(identity: string, link: Link): Record<string, unknown>[] {
    const member = this.members.find((each) => each.identity === identity);
    if (member === undefined || !spokenTo.includes(member.standing)) throw new Error("no pg_hba.conf entry");
    this.#links.add(link);
    this.#identities.set(link, identity);
    return [];
  }

  forget(link: Link): void {
    this.#links.delete(link);
    const identity = this.#identities.get(link);
    const position = identity === undefined ? undefined : this.disk.positions.get(identity);
    const isThere = [...this.#links].some((each) => this.#identities.get(each) === identity);
    if (identity !== undefined && position !== undefined && !isThere)
      this.disk.positions.set(identity, { ...position, open: false });
  }

  /** What the functions of schema mesh answer. */
  answer(identity: string, text: string, values: readonly unknown[]): Record<string, unknown>[] {
    const truth = this.#truth(identity, text, values).slice(0, this.answerMs(text) > 0 ? 1 : undefined);
    if (this.lie === undefined || !text.includes(`mesh.${this.lie.of}(`) || this.#isImporting(identity)) return truth;
    const told = this.lie.tell(truth, this.#toldBefore, this.#common.random);
    this.#toldBefore = truth;
    return [...told];
  }

  /** How late its answer is. */
  answerMs(text: string): number {
    return text.includes("mesh.snapshot(") ? this.trickleMs : 0;
  }

  #isImporting(identity: string): boolean {
    return [...this.#common.nodes.values()].some(
      (node) => node.identity === identity && node.disk.importing !== undefined,
    );
  }

  #truth(identity: string, text: string, values: readonly unknown[]): Record<string, unknown>[] {
    const { disk } = this;
    if (text === "listen ops") return [];
    if (text.includes("mesh.fences()")) return [{ f: disk.fences }];
    if (text.includes("mesh.sign_of_life()")) return this.#signOfLife(identity);
    if (text.includes("mesh.vector()")) {
      const own = disk.incarnation;
      const sign = this.#sign();
      const origins = new Set([...disk.vector().keys(), own]);
      const latestMs = Math.max(...[...origins].map((origin) => Number((disk.head(origin)?.hlc ?? 0n) >> 16n)));
      const clockMs = latestMs > this.#wallMs() + aheadMaxMs ? latestMs : this.#wallMs();
      return [...origins].map((origin) => {
        const head = disk.head(origin);
        return {
          origin,
          seq: `${head?.seq ?? 0}`,
          own: origin === own,
          base: `${disk.bases.get(origin)?.seq ?? 0}`,
          mac: head?.mac.toString("base64") ?? "",
          sign,
          clock_ms: `${clockMs}`,
        };
      });
    }
    if (text.includes("mesh.mark()")) return markOf(disk);
    if (text.includes("mesh.snapshot(")) return pageOf(disk, values[0] as string);
    if (text.includes("mesh.kept(")) return [];
    if (text.includes("mesh.pull(")) {
      const [origin, after, amount] = values as [string, number, number];
      return disk.pull(origin, after, amount).map((operation) => ({ p: toWire(operation) }));
    }
    if (text.includes("mesh.acknowledge(")) {
      return values[0] === disk.incarnation ? this.#acknowledge(identity, values[1] as number) : [];
    }
    throw new Error(`the simulation does not know the query: ${text}`);
  }

  readonly #identities = new Map<Link, string>();

  #wallMs(): number {
    return epochMs + this.#common.time.nowMs + this.clockOffMs;
  }

  #admits(link: Link): boolean {
    const identity = this.#identities.get(link);
    return this.members.some((each) => each.identity === identity && spokenTo.includes(each.standing));
  }

  #acknowledge(identity: string, upTo: number): Record<string, unknown>[] {
    // Who holds more than there is holds another log.
    const origin = this.disk.incarnation;
    if (upTo > this.disk.position(origin)) return [];
    this.#acknowledgements += 1;
    const before = this.disk.positions.get(identity);
    const news = before?.origin !== origin || before.seq !== upTo;
    this.disk.positions.set(identity, { origin, seq: Math.max(0, upTo), at: this.#acknowledgements, open: true });
    if (news) this.#after(this.#life, 0.1, () => this.store?.notify("acks"));
    return [];
  }

  /** PostgreSQL shows when a session was active last. */
  #signOfLife(identity: string): Record<string, unknown>[] {
    const position = this.disk.positions.get(identity);
    this.#acknowledgements += 1;
    if (position !== undefined) this.disk.positions.set(identity, { ...position, at: this.#acknowledgements });
    return [{ sign: this.#sign() }];
  }

  #sign(): string {
    const { disk } = this;
    const heads = [...disk.vector()].map(
      ([origin, seq]) => `${origin} ${seq} ${disk.head(origin)?.mac.toString("base64")}`,
    );
    return `${heads} ${JSON.stringify(disk.fences)}`;
  }

  #appended(operations: readonly Operation[]): void {
    const { random } = this.#common;
    this.#common.appended(this, operations);
    const own = operations.filter(({ origin }) => origin === this.disk.incarnation);
    if (own.length === 0) return;
    if (this.crashesAtCommit) {
      this.crashesAtCommit = false;
      this.crash();
      return;
    }
    // A full queue of notifications, or a listener that lags: then only the poll tells.
    const news = own.map(toWire);
    for (const link of this.#links) if (!random.chance(0.03)) link.appended(news);
  }

  async #connect(life: number, options: Parameters<Surroundings["connect"]>[0]): Promise<Link> {
    const { time, nodes, open, packetMs } = this.#common;
    const far = nodes.get(options.peer.name);
    if (far === undefined) throw new Error(`no node ${options.peer.name}`);
    const guarded = <Value>(work: (value: Value) => void) => {
      return (value: Value) => void (life === this.#life && work(value));
    };
    const link = new Link({
      near: this.name,
      far,
      identity: this.identity,
      wires: { after: (ms, work) => this.#after(life, ms, work), open, packetMs },
      nowMs: () => time.nowMs,
      notified: guarded(options.notified),
      lost: guarded(options.lost),
    });
    await link.open();
    return link;
  }

  /** Runs nothing after the end of this life, and nothing while the process is stopped. */
  #after(life: number, ms: number, work: () => void): () => void {
    const { time } = this.#common;
    const attempt = () => {
      if (life !== this.#life) return;
      const waitMs = this.#pausedUntilMs - time.nowMs;
      if (waitMs > 0) cancel = time.after(waitMs + stuckMs * this.#common.random.next(), attempt);
      else work();
    };
    let cancel = time.after(ms, attempt);
    return () => cancel();
  }
}

const spokenTo: readonly string[] = ["Joining", "Member", "Leaving"];
