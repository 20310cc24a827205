import { StoreError } from "../store/error.ts";
import type { Operation } from "../store/types.ts";
import { Acknowledgements } from "./acknowledgements.ts";
import { Backoff } from "./backoff.ts";
import { askFences } from "./fences.ts";
import { compareHere } from "./forks.ts";
import { Inbox } from "./inbox.ts";
import { OwnLogAtPeer, problemOf } from "./own-log-at-peer.ts";
import { lookMs, overdueMs, wholeLookMs } from "./pace.ts";
import { Pauses } from "./pauses.ts";
import type { PeerConnection } from "./peer-connection.ts";
import type { PeerOptions } from "./peer-options.ts";
import { hasNext, isOtherHead, isOtherLog, noHead, nothing, operationsBetween, pullPage, saidIn } from "./pulled.ts";
import { notShown, Refusals } from "./refusals.ts";
import type { MeshMember, PeerHead, PeerStatus } from "./types.ts";

/** Ends of departed logs are asked for at each connection, after a sign of life that is another one, and at every so manieth look. */
const fencesEvery = 30;

/** The link to one peer: takes in what the peer has and this node lacks, and acknowledges what is durable here. */
export class Peer {
  readonly member: MeshMember;
  readonly #options: PeerOptions;
  #inbox: Inbox;
  #connection: PeerConnection | undefined;
  #stopped = false;
  readonly #pauses: Pauses;
  #problem: string | undefined = "not connected yet";
  #origin: string | undefined;
  #theirs: ReadonlyMap<string, PeerHead> | undefined;
  #roundTripMs: number | undefined;
  #lastHeardMs: number | undefined;
  #acknowledgements: Acknowledgements | undefined;
  /** When the question that waits for its answer was asked. */
  #askedMs: number | undefined;
  #lookedMs = 0;
  /** What the peer's signs of life say as long as it holds what it held at the last look; undefined: it gives none. */
  #unchanged: string | undefined;
  readonly #ownLogAtPeer: OwnLogAtPeer;
  /** The peer's own log may not be the one that is here: nothing of it is taken unseen, nothing acknowledged. */
  #suspect = true;
  /** Nothing that the peer holds has to come by a snapshot. */
  #followed = false;
  readonly #pulling = new Set<string>();
  readonly #refused: Refusals;

  constructor(options: PeerOptions) {
    this.member = options.member;
    this.#options = options;
    this.#inbox = new Inbox(options.surroundings.after);
    this.#pauses = new Pauses(options.surroundings.after);
    this.#refused = new Refusals(options.nowMs);
    this.#ownLogAtPeer = new OwnLogAtPeer(options.store);
    void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    this.#connection?.close();
    this.#inbox.end();
    this.#pauses.end();
  }

  /** Connected and its vector is known. */
  get reachable(): boolean {
    return this.#connection !== undefined && this.#theirs !== undefined;
  }

  /** Holds what the peer held at the last look, and tells it what comes: its writes wait for nobody who is caught up. */
  get caughtUp(): boolean {
    return this.#followed && this.lag() === 0;
  }

  /** Connected, and has not answered what it was asked a second ago. */
  get silent(): boolean {
    return this.#options.nowMs() - (this.#askedMs ?? Number.POSITIVE_INFINITY) >= overdueMs;
  }

  /** What the peer said last of each log, without what it did not show; undefined while it is not reachable. */
  get heads(): ReadonlyMap<string, PeerHead> | undefined {
    return this.#connection === undefined ? undefined : this.#theirs && this.#refused.shown(this.#theirs);
  }

  /** Operations that the peer held at the last look, a second ago unless all rest, and this node does not hold now; without those that nobody takes. */
  lag(): number | undefined {
    return this.#theirs && operationsBetween(this.#options.store.vector(), this.#refused.taken(this.#theirs));
  }

  status(): Omit<PeerStatus, "acknowledged"> {
    const connection = this.#connection;
    return {
      name: this.member.name,
      site: this.member.site,
      connected: connection !== undefined,
      roundTripMs: connection === undefined ? undefined : this.#roundTripMs,
      lagOperations: this.lag(),
      tlsGroup: connection?.tlsGroup,
      lastHeardMs: this.#lastHeardMs,
      problem: this.#problem,
      refusedOrigins: this.#refused.reasons(),
      ownLogRefused: this.#refused.reasons()[this.#origin ?? ""],
    };
  }

  async #run(): Promise<void> {
    const backoff = new Backoff(this.#options.surroundings.random);
    while (!this.#stopped) {
      const startedMs = this.#options.nowMs();
      await this.#session().catch((error: Error) => this.#ended(error));
      await this.#pauses.pause(backoff.after(this.#options.nowMs() - startedMs));
    }
  }

  async #session(): Promise<void> {
    const { tls, log, surroundings } = this.#options;
    const inbox = new Inbox(surroundings.after);
    let lost: Error | undefined;
    const connection = await surroundings.connect({
      peer: this.member,
      tls: tls(),
      notified: (payload) => inbox.heard(payload),
      lost: (error) => {
        lost = error;
        inbox.end();
      },
    });
    if (this.#stopped) return connection.close();
    this.#inbox = inbox;
    this.#refused.clear();
    this.#acknowledgements = new Acknowledgements(connection, (position) => {
      if (this.#position() > position) this.#acknowledge();
    });
    this.#suspect = true;
    this.#connection = connection;
    try {
      await connection.query("listen ops");
      this.#problem = undefined;
      log({
        level: "info",
        event: "peerConnected",
        peer: this.member.name,
        tlsGroup: connection.tlsGroup ?? "unknown",
      });
      await this.#exchange(connection, () => lost);
    } finally {
      connection.close();
    }
  }

  /** Two loops, so that the answer to a look, which takes a round trip, never holds up what the peer sends by itself. */
  async #exchange(connection: PeerConnection, lost: () => Error | undefined): Promise<void> {
    // Before anything of a departed log can come.
    await this.#orLater(() => askFences(connection, this.#options.store));
    await this.#orLater(() => this.#poll(connection));
    const inbox = this.#inbox;
    const over = new AbortController();
    const check = () => {
      const error = lost();
      if (error !== undefined) throw error;
      return !over.signal.aborted && !this.#stopped;
    };
    const look = async () => {
      for (let looks = 1; check(); looks += 1) {
        await this.#untilLook(connection, check);
        if (check() && looks % fencesEvery === 0) await this.#orLater(() => askFences(connection, this.#options.store));
        if (check()) await this.#orLater(() => this.#look(connection));
      }
    };
    const take = async () => {
      while (check()) {
        const taken = await this.#orLater(() => this.#takeInbox(connection));
        if (taken) await inbox.something();
        else await this.#pauses.pause(lookMs);
      }
    };
    over.signal.addEventListener("abort", () => {
      this.#options.pace.leave(connection);
      inbox.end();
    });
    await Promise.all([look(), take()]).finally(() => over.abort());
  }

  /** A second, or at rest until it is this link's turn. */
  async #untilLook(connection: PeerConnection, goesOn: () => boolean): Promise<void> {
    const { pace } = this.#options;
    if (!pace.resting || !this.#mayRest()) await this.#pauses.pause(lookMs);
    if (goesOn() && this.#mayRest()) await pace.turn(connection);
  }

  /** Runs the work; false when our own database is away or the master key not there yet, for which the peer is not to blame. */
  async #orLater(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#problem = `connected, but this node takes nothing in: ${error.message}`;
      this.#inbox.ask();
      return false;
    }
  }

  /** At rest a sign of life, which costs both next to nothing; else, or when the peer has changed, what the peer has. */
  async #look(connection: PeerConnection): Promise<void> {
    if (!this.#options.pace.resting || !this.#mayRest()) return this.#poll(connection);
    const [row] = await this.#asked(() => connection.query("select mesh.sign_of_life() as sign", []));
    if (row?.sign === this.#unchanged) return;
    await askFences(connection, this.#options.store);
    await this.#poll(connection);
  }

  /** Nothing is to be had from the peer as far as is known, nor to be told to it; and it gives signs of life. */
  #mayRest(): boolean {
    const { nowMs, store } = this.#options;
    const settled = this.lag() === 0 && !this.#suspect && this.#refused.none && this.#problem === undefined;
    const told = this.#acknowledgements?.told === this.#position();
    const known = this.#unchanged !== undefined && !this.#inbox.news && nowMs() - this.#lookedMs < wholeLookMs;
    return settled && told && known && store.intake.importing === undefined;
  }

  /** Asks, and remembers that and how soon there was an answer. */
  async #asked<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    const { nowMs } = this.#options;
    const sentMs = nowMs();
    this.#askedMs = sentMs;
    const answer = await ask();
    this.#askedMs = undefined;
    this.#roundTripMs = nowMs() - sentMs;
    this.#lastHeardMs = nowMs();
    return answer;
  }

  /** Looks at what the peer has: its own log at once, others' only when nothing of them comes any more. */
  async #poll(connection: PeerConnection): Promise<void> {
    const { nowMs, store, gossip } = this.#options;
    this.#lookedMs = nowMs();
    this.#inbox.news = false;
    // Whatever of it is here was durable there before.
    const held = new Map(store.vector());
    const asked = this.#asked(() => connection.query("select * from mesh.vector()", []));
    const { heads, own, sign, clockMs } = saidIn(await asked);
    this.#origin = own;
    this.#unchanged = sign;
    if (clockMs !== undefined) store.clock.hear(this.member.identity, clockMs);
    this.#theirs = heads;
    this.#problem = undefined;
    // Before a snapshot, which would bring what is lacking of the own log as if it had never been lost.
    await this.#watchOwnLog(connection, heads.get(store.incarnation));
    const bySnapshot = this.#options.snapshots.consider(this.member, heads);
    this.#followed &&= !bySnapshot;
    if (bySnapshot) return;
    await this.#judge(held.get(this.#origin) ?? 0, heads.get(this.#origin));
    this.#acknowledge();
    this.#followed = true;
    for (const [origin, head] of heads) {
      if (origin === store.incarnation) continue;
      const mine = store.vector().get(origin) ?? 0;
      if (isOtherHead(store.head(origin), head)) {
        this.#refuse(origin, "forked");
        continue;
      }
      // What was pruned here is had from another peer, or by a snapshot.
      if (mine < head.base) continue;
      if (origin === this.#origin) await this.#pull(connection, origin, head.seq);
      else await gossip.consider(origin, { mine, theirs: head.seq }, () => this.#pull(connection, origin, head.seq));
    }
    this.#refused.settle((origin) => (heads.get(origin)?.seq ?? 0) > (store.vector().get(origin) ?? 0));
  }

  /** Whether the peer's own log is the one that is here: a node that was started from an older disk has lost some, and writes other. */
  async #judge(held: number, theirs: PeerHead | undefined): Promise<void> {
    const [origin, { store }] = [this.#origin, this.#options];
    // What came by an earlier connection may still be on its way to the disk, and no longer be the peer's.
    if (this.#suspect) await store.settled();
    if (origin === undefined || theirs === undefined || origin === store.incarnation) return;
    this.#suspect = theirs.seq < held;
    if (theirs.seq === 0 || theirs.seq > held) return;
    const comparison = await compareHere(store, origin, theirs);
    if (comparison === "forked") this.#refuse(origin, "forked");
    else if (this.#suspect) this.#problem = "holds less of its own log than this node: its database is an older one";
  }

  /** Whether this node's own log goes on where it ends here, as far as the peer knows. */
  async #watchOwnLog(connection: PeerConnection, theirs: PeerHead = nothing): Promise<void> {
    const { store, log, ownLog, ownLogLost } = this.#options;
    const { incarnation } = store;
    const seen = await this.#ownLogAtPeer.look(connection, theirs);
    if (seen.what === "agrees") return ownLog.agreed(this.member.identity, incarnation);
    if (seen.what === "goesOn") return;
    const [peer, mine, held] = [this.member.name, seen.mine, theirs.seq];
    this.#problem = problemOf(seen, held);
    if (seen.what === "unproved") {
      if (seen.first) log({ level: "error", event: "ownLogDoubted", peer, held, own: mine });
      return;
    }
    log({ level: "error", event: "ownLogLost", peer, held, own: mine });
    ownLogLost({ peer, incarnation, mine, theirs: held, comparison: seen.comparison });
  }

  /** Asks until this node holds the origin's log up to `until`; nothing when that is going on already. */
  async #pull(connection: PeerConnection, origin: string, until: number): Promise<void> {
    if (this.#pulling.has(origin)) return;
    this.#pulling.add(origin);
    try {
      await this.#pullAll(connection, origin, until);
    } finally {
      this.#pulling.delete(origin);
    }
  }

  async #pullAll(connection: PeerConnection, origin: string, until: number): Promise<void> {
    // The first time with the operation that is here already: the log there must be the one that goes on from here.
    let overlap = 1;
    while (!this.#stopped && !this.#refused.has(origin)) {
      const mine = this.#options.store.head(origin) ?? noHead;
      if (mine.seq >= until) return;
      if (mine.seq <= (this.#theirs?.get(origin)?.base ?? 0)) overlap = 0;
      const raised = await this.#pullPage(connection, origin, mine, overlap);
      overlap = 0;
      if (raised || (this.#options.store.vector().get(origin) ?? 0) > mine.seq) continue;
      // By its word alone nobody waits for a peer to bring what others can no longer give but in a snapshot.
      if (hasNext(this.#theirs?.get(origin), mine.seq) && !this.#refused.has(origin)) this.#refuse(origin, notShown);
      return;
    }
  }

  /** True when the end of a departed log rose by it: what came before is to be asked for again. */
  async #pullPage(connection: PeerConnection, origin: string, mine: typeof noHead, overlap: number): Promise<boolean> {
    const operations = await pullPage(connection, origin, mine.seq - overlap);
    const isOther = operations !== undefined && isOtherLog(operations, mine);
    if (operations === undefined || isOther) this.#refuse(origin, isOther ? "forked" : "malformed");
    else if (operations.length > 0) return this.#ingest(connection, operations);
    return false;
  }

  async #takeInbox(connection: PeerConnection): Promise<void> {
    if (this.#origin === undefined) return;
    // With a piece of a log here a snapshot would no longer be for an empty store, and all of the rest would come by the logs.
    // What is thrown away is told by the next look.
    if (!this.#followed) return void this.#inbox.take(this.#origin);
    const before = this.#position();
    await this.#takeOf(this.#origin, connection);
    // The peer may have begun a log of a new name, and that only a look tells.
    if (this.#position() === before) this.#options.pace.leave(connection);
  }

  async #takeOf(origin: string, connection: PeerConnection): Promise<void> {
    const { ask, operations } = this.#inbox.take(origin);
    if (ask || this.#suspect) return this.#pull(connection, origin, Number.MAX_SAFE_INTEGER);
    const last = operations.at(-1);
    if (last === undefined || this.#refused.has(origin)) return;
    // Any member may send notifications on this channel, so what is wrong with one is no reason to distrust the peer.
    const { position } = await this.#options.store.ingest(operations);
    this.#acknowledge();
    if (position < last.seq) await this.#pull(connection, origin, Number.MAX_SAFE_INTEGER);
  }

  /** As `#pullPage`. */
  async #ingest(connection: PeerConnection, operations: readonly Operation[]): Promise<boolean> {
    const origin = operations[0]?.origin ?? "";
    const ingested = await this.#options.store.ingest(operations);
    // Who holds more of a departed log knows of a later end.
    const raised =
      ingested.outcome === "refused" &&
      ingested.reason === "fenced" &&
      (await askFences(connection, this.#options.store));
    if (ingested.outcome === "refused" && !raised) this.#refuse(origin, ingested.reason);
    if (origin === this.#origin) this.#acknowledge();
    return raised;
  }

  /** How far the peer's own log is durable here. */
  #position(): number {
    return this.#options.store.vector().get(this.#origin ?? "") ?? 0;
  }

  /** Tells the peer, unless what is here may not be what the peer has, or may not stay. */
  #acknowledge(): void {
    const [origin, { snapshots, stays }] = [this.#origin, this.#options];
    if (origin === undefined || this.#suspect || this.#refused.has(origin) || snapshots.behind || !stays()) return;
    this.#acknowledgements?.tell(origin, this.#position());
  }

  #refuse(origin: string, reason: string): void {
    const told = { level: "error", event: "operationsRefused", peer: this.member.name, origin, reason };
    if (this.#refused.refuse(origin, reason)) this.#options.log(told);
  }

  #ended(error: Error): void {
    const before = this.#connection;
    this.#connection = undefined;
    this.#askedMs = undefined;
    this.#theirs = undefined;
    if (this.#stopped) return;
    if (before !== undefined)
      this.#options.log({ level: "warn", event: "peerLost", peer: this.member.name, problem: error.message });
    this.#problem = error.message;
  }
}
