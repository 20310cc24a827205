import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DurabilityGate } from "./durability.ts";
import type { OwnLogLost } from "./forks.ts";
import { Gossip } from "./gossip.ts";
import { answerHandovers } from "./handover.ts";
import { oneAtATime } from "./one-at-a-time.ts";
import { OwnLog } from "./own-log.ts";
import { Pace, turnMs } from "./pace.ts";
import { Passes } from "./passes.ts";
import { Peer } from "./peer.ts";
import { Pruner } from "./pruner.ts";
import { Snapshots } from "./snapshots.ts";
import { realSurroundings, type Surroundings } from "./surroundings.ts";
import type {
  Durability,
  MeshMember,
  MeshTls,
  OwnLogRefused,
  PeerHead,
  Replication,
  ReplicationLimits,
  ReplicationOptions,
  ReplicationStatus,
} from "./types.ts";

const doors = readFileSync(join(import.meta.dirname, "mesh.sql"), "utf8");
/** Deadlines of writes that wait for sites are looked at at the first pace, all else at the second; at rest all at once, with a turn. */
const tickMs = { waiting: 100, awake: 1_000, resting: turnMs } as const;
// Signs of life are looked for at this pace; what is new is told by a notification.
const lookEveryMs = 1_900;
/** The table, not the notification, says who acknowledged what: any member can send notifications. */
const acknowledgements = `select identity, seq, acknowledged::text as at, true as open
  from mesh.positions where origin = $1`;
/** Whatever the session does in which a member has acknowledged is a sign of life as well. Also ends who overstays. */
const signsOfLife = "select * from keyfleet.heard($1)";
const retryMs = 500;
const defaults: ReplicationLimits = {
  keepMs: 3_600_000,
  absentMs: 7 * 86_400_000,
  pruneEveryMs: 10_000,
  emptyTakesFrom: 10_000,
};
/** Where nothing could be pruned nobody looks again before so long. */
const pruneRestMs = 60_000;

/** Starts the exchange of the log with all members: opens this node's doors for them and pulls from each. */
export function startReplication(options: ReplicationOptions): Replication {
  return new Exchange(options);
}

class Exchange implements Replication {
  readonly #options: ReplicationOptions;
  readonly #gate: DurabilityGate;
  readonly #ownLog: OwnLog;
  readonly #gossip: Gossip;
  readonly #pace: Pace;
  readonly #passes: Passes;
  readonly #surroundings: Surroundings;
  readonly #snapshots: Snapshots;
  readonly #pruner: Pruner;
  readonly #limits: ReplicationLimits;
  readonly #heard = { acknowledgements: new Map<string, string>(), signsOfLife: new Map<string, string>() };
  readonly #readAcknowledgements: () => void;
  readonly #readSignsOfLife: () => void;
  readonly #answerHandovers: () => void;
  readonly #claimOwnLog: () => void;
  readonly #unlisten: () => void;
  #members: readonly MeshMember[];
  #peers: readonly Peer[] = [];
  #tls: MeshTls;
  #doorsOpen = false;
  #open: ReadonlySet<string> = new Set();
  #resting: (() => void) | undefined;
  #callOffPruning: () => void = () => undefined;
  #lookedMs = 0;
  #forked: string | undefined;
  /** The log that acknowledgements were read of. */
  #incarnation: string;
  #stopped = false;

  constructor(options: ReplicationOptions) {
    const { store, nowMs, wrapFor, log } = options;
    this.#options = options;
    this.#members = options.members;
    this.#tls = options.tls;
    this.#incarnation = store.incarnation;
    const others = () => this.#members.filter((member) => this.#isOther(member)).map(({ identity }) => identity);
    this.#ownLog = new OwnLog({ store, self: options.self, others, members: () => this.#members, nowMs, log });
    this.#gossip = new Gossip(nowMs);
    this.#gate = new DurabilityGate({ mode: options.durability, nowMs, onStep: (step) => options.onSiteStep?.(step) });
    this.#readAcknowledgements = oneAtATime(() => this.#read("acknowledgements"));
    this.#readSignsOfLife = oneAtATime(() => this.#read("signsOfLife"));
    this.#answerHandovers = oneAtATime(() => answerHandovers(store, wrapFor));
    this.#passes = new Passes({ store, identity: options.self.identity, others });
    const surroundings = this.#passes.shownIn(options.surroundings ?? realSurroundings);
    this.#surroundings = surroundings;
    const anySilent = () => this.#peers.some((peer) => peer.silent);
    this.#pace = new Pace({ store, nowMs, surroundings, anySilent });
    this.#limits = { ...defaults, ...options.limits };
    const heads = () => this.#heads();
    this.#snapshots = new Snapshots({ store, tls: () => this.#tls, heads, nowMs, log, surroundings, ...this.#limits });
    this.#pruner = new Pruner({ store, log, nowMs, ...this.#limits });
    this.#tick();
    this.#pruneLater();
    store.setOpening(() => this.#ownLog.open());
    const gate = this.#gate;
    store.setGate({
      get holds() {
        return gate.holds;
      },
      wait: (head) => this.#wait(head),
    });
    this.#unlisten = store.onNotification((channel) => this.#notified(channel));
    this.#claimOwnLog = oneAtATime(() => this.#claim());
    this.#claimOwnLog();
    void this.#openDoors();
    this.updatePeers(options.members, options.tls);
  }

  updatePeers(members: readonly MeshMember[], tls: MeshTls): void {
    const { store, nowMs, log } = this.#options;
    this.#members = members;
    this.#tls = tls;
    store.setFences(fences(members));
    this.#gate.setSites(this.#otherSites(), members.filter(isSpokenTo).length);
    // Who is fenced speaks to nobody either: others may not have heard of it yet, and would count what it holds.
    const wanted = this.#isOut() ? [] : members.filter((member) => this.#isPeer(member));
    const kept = this.#peers.filter((peer) => wanted.some((member) => sameLink(member, peer.member)));
    for (const peer of this.#peers) if (!kept.includes(peer)) peer.stop();
    const added = wanted.filter((member) => !kept.some((peer) => sameLink(member, peer.member)));
    const [gossip, pace, snapshots, surroundings] = [this.#gossip, this.#pace, this.#snapshots, this.#surroundings];
    const tlsNow = () => this.#tls;
    const ownLogLost = (found: OwnLogLost) => void this.#ownLogLost(found).catch(() => undefined);
    const stays = () => this.#standing() !== "Leaving";
    const ownLog = this.#ownLog;
    const common = { tls: tlsNow, store, gossip, pace, snapshots, nowMs, log, surroundings, ownLog, ownLogLost, stays };
    this.#peers = [...kept, ...added.map((member) => new Peer({ member, ...common }))];
  }

  updateDurability(durability: Durability): void {
    this.#gate.mode = durability;
    this.#gate.tick();
  }

  caughtUp(): boolean {
    if (this.#forked !== undefined || !this.#ownLog.asked) return false;
    if (this.#options.store.intake.importing !== undefined) return false;
    const reachable = this.#peers.filter((peer) => peer.reachable);
    if (reachable.length === 0) return !this.#members.some((member) => this.#isOther(member));
    return reachable.every((peer) => peer.caughtUp);
  }

  status(): ReplicationStatus {
    return {
      caughtUp: this.caughtUp(),
      peers: this.#peers.map((peer) => ({
        ...peer.status(),
        acknowledged: this.#gate.position(peer.member.identity),
      })),
      sites: this.#gate.steps(),
      writesWaiting: this.#gate.waiting,
      snapshot: this.#snapshots.status,
      away: this.#pruner.away,
      forked: this.#forked,
      ownLogRefused: this.#ownLogRefused(),
    };
  }

  /** By the word of those that are reachable, who are asked about nothing else here than how far they go. */
  #ownLogRefused(): OwnLogRefused | undefined {
    const { clock, incarnation } = this.#options.store;
    if (this.#forked === undefined && !clock.isRefused) return undefined;
    const held = Math.max(0, ...this.#peers.map(({ heads }) => heads?.get(incarnation)?.seq ?? 0));
    return { reason: this.#forked === undefined ? "clockTooFarAhead" : "forked", held };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unlisten();
    this.#callOffPruning();
    this.#snapshots.stop();
    this.#options.store.setGate(undefined);
    this.#options.store.setOpening(async () => undefined);
    for (const peer of this.#peers) peer.stop();
    // Nobody waits for sites that are no longer heard.
    this.#gate.setSites(new Map(), 0);
  }

  #wait(head: number): Promise<void> {
    this.#follow();
    const held = this.#gate.wait(head);
    // Also by this one learns who does not answer any more.
    this.#pace.wake();
    if (this.#gate.waiting > 0) this.#resting?.();
    return held;
  }

  #tick(): void {
    if (this.#stopped) return;
    this.#gate.tick();
    this.#snapshots.tick();
    this.#pace.tick();
    const now = this.#options.nowMs();
    if (this.#doorsOpen && now - this.#lookedMs >= lookEveryMs) {
      this.#lookedMs = now;
      this.#readSignsOfLife();
      this.#passes.expect();
    }
    this.#tickLater();
  }

  /** A write that begins to wait ends the rest. */
  #tickLater(): void {
    const { after } = this.#surroundings;
    this.#resting = undefined;
    if (this.#gate.waiting > 0) return void after(tickMs.waiting, () => this.#tick());
    const callOff = after(this.#pace.resting ? tickMs.resting : tickMs.awake, () => this.#tick());
    this.#resting = () => {
      callOff();
      this.#tickLater();
    };
  }

  /** By identity, of those that are reachable. */
  #heads(): ReadonlyMap<string, ReadonlyMap<string, PeerHead>> {
    return new Map(
      this.#peers.flatMap((peer): [string, ReadonlyMap<string, PeerHead>][] =>
        peer.heads === undefined ? [] : [[peer.member.identity, peer.heads]],
      ),
    );
  }

  /**
   * The database is an older one. If nothing was written since, the log of before ends where the peers have it, and a new
   * one begins; else there are two logs of one name, and this node's later writes are nowhere else: people must decide.
   */
  async #ownLogLost({ peer, incarnation, mine, theirs, comparison }: OwnLogLost): Promise<void> {
    const { store, log } = this.#options;
    if (this.#forked !== undefined || incarnation !== store.incarnation) return;
    const reason = `its database is older than what it has written: ${peer} holds ${theirs} of its operations, it holds ${mine}`;
    // As long as the end is not known nothing is written, and what was pruned there need not be compared.
    if (comparison === "same" || (comparison === "unknown" && !store.ownEndKnown))
      return this.#ownLog.begin({ former: incarnation, head: mine, why: "setBack" }, reason);
    const why =
      comparison === "forked"
        ? "and it has written others since"
        : "and logs no longer tell whether it has written others since";
    this.#forked = `${reason}, ${why}; remove this node from the fleet and let it join again`;
    store.block(this.#forked);
    log({ level: "error", event: "forked", problem: this.#forked });
  }

  #pruneLater(afterMs = this.#limits.pruneEveryMs): void {
    const { pruneEveryMs, keepMs } = this.#limits;
    const restMs = Math.max(pruneEveryMs, Math.min(pruneRestMs, keepMs));
    this.#callOffPruning = this.#surroundings.after(afterMs, () => {
      if (this.#stopped) return;
      // What failed is tried again in the next turn.
      void this.#prune()
        .catch(() => 0)
        .then((operations) => this.#stopped || this.#pruneLater(operations > 0 ? pruneEveryMs : restMs));
    });
  }

  async #prune(): Promise<number> {
    const { self, log } = this.#options;
    const operations = await this.#pruner.turn(this.#members, self.identity, this.#heads());
    if (operations > 0) log({ level: "debug", event: "logPruned", operations });
    return operations;
  }

  /** Tried again until the database takes it. */
  async #claim(): Promise<void> {
    if (this.#stopped) return;
    await this.#ownLog.claim().catch(() => void this.#surroundings.after(retryMs, () => this.#claimOwnLog()));
  }

  /** Roles and functions for peers; tried again until the database takes them. */
  async #openDoors(): Promise<void> {
    const { store, log } = this.#options;
    if (this.#stopped || this.#doorsOpen) return;
    try {
      await store.query(doors);
      this.#doorsOpen = true;
      this.#notified("connected");
    } catch (error) {
      const { cause } = error as { cause?: { message?: string } };
      log({ level: "warn", event: "meshDoorsFailed", problem: cause?.message ?? (error as Error).message });
      this.#surroundings.after(retryMs, () => void this.#openDoors());
    }
  }

  #notified(channel: string): void {
    if (this.#stopped || !this.#doorsOpen) return;
    if (channel === "connected") {
      this.#claimOwnLog();
      this.#passes.forget();
    }
    if (channel !== "handover") this.#readAcknowledgements();
    if (channel !== "acks") this.#answerHandovers();
  }

  /** What is as it was at the last reading of its kind says nothing; clocks are not compared, since they may be set. */
  async #read(what: "acknowledgements" | "signsOfLife"): Promise<void> {
    const heard = this.#heard[what];
    const { store } = this.#options;
    const { incarnation } = store;
    const rows = await store.query(what === "signsOfLife" ? signsOfLife : acknowledgements, [incarnation]);
    this.#follow();
    if (incarnation !== this.#incarnation) return;
    if (what === "signsOfLife") this.#connected(rows);
    const news = rows.filter(({ identity, at, open }) => open === true && heard.get(identity as string) !== at);
    for (const { identity, at } of news) heard.set(identity as string, at as string);
    for (const { identity } of news) this.#ownLog.acknowledged(identity as string, incarnation);
    this.#gate.allAcknowledged(news.map(({ identity, seq }) => [identity as string, Number(seq)]));
  }

  /** The kernel ends connections of who is gone within four seconds; whoever goes along with it is looked for at once. */
  #connected(rows: readonly Record<string, unknown>[]): void {
    const open = new Set(rows.filter((row) => row.open === true).map(({ identity }) => identity as string));
    this.#gate.connected(open);
    if ([...this.#open].some((identity) => !open.has(identity))) this.#pace.wake();
    this.#open = open;
  }

  /** What was acknowledged of a former log says nothing of the present one. */
  #follow(): void {
    const { incarnation } = this.#options.store;
    if (incarnation === this.#incarnation) return;
    this.#incarnation = incarnation;
    this.#claimOwnLog();
    for (const heard of Object.values(this.#heard)) heard.clear();
    this.#gate.forget();
  }

  #standing(): MeshMember["standing"] | undefined {
    return this.#members.find(({ name }) => name === this.#options.self.name)?.standing;
  }

  #isOut(): boolean {
    return ["Fenced", "Departed"].includes(this.#standing() ?? "");
  }

  #otherSites(): ReadonlyMap<string, readonly string[]> {
    const others = this.#members.filter(
      ({ site, standing }) => standing === "Member" && site !== this.#options.self.site,
    );
    return new Map(
      [...Map.groupBy(others, ({ site }) => site)].map(([site, members]) => [
        site,
        members.map(({ identity }) => identity),
      ]),
    );
  }

  #isPeer(member: MeshMember): boolean {
    return this.#isOther(member) && member.address !== undefined;
  }

  #isOther(member: MeshMember): boolean {
    return member.name !== this.#options.self.name && isSpokenTo(member);
  }
}

/** A fenced member is not spoken to any more: what it says now would come after the others agreed on its end. */
function isSpokenTo({ standing }: MeshMember): boolean {
  return standing === "Joining" || standing === "Member" || standing === "Leaving";
}

function sameLink(one: MeshMember, other: MeshMember): boolean {
  return (
    one.name === other.name &&
    one.site === other.site &&
    one.address === other.address &&
    one.meshPort === other.meshPort &&
    one.identity === other.identity
  );
}

function fences(members: readonly MeshMember[]): ReadonlyMap<string, number> {
  const departed = members.filter(({ standing }) => standing === "Departed");
  return new Map(
    departed.flatMap(({ incarnation, lastSequence }): [string, number][] =>
      incarnation === undefined || lastSequence === undefined ? [] : [[incarnation, lastSequence]],
    ),
  );
}
