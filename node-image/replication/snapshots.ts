import { StoreError } from "../store/error.ts";
import type { Log, NodeStore, Vector } from "../store/types.ts";
import { Patience } from "./patience.ts";
import { Snapshot } from "./snapshot.ts";
import type { Surroundings } from "./surroundings.ts";
import type { MeshMember, MeshTls, PeerHead, SnapshotStatus } from "./types.ts";

/** A gap that no reachable peer can fill for so long is closed by a snapshot. */
const blockedMs = 3_000;
const retryMs = 2_000;
/** One that nobody is there to finish with is given up after so long, or up to twice as long. */
const abandonMs = 5_000;
/** A peer whose snapshot was not to be believed is not asked again for so long, and what it says to hold counts for nothing. */
const distrustMs = 600_000;
/**
 * The same of one that did not show what it had said to hold, as it may have been set back, or was too slow. Each further
 * time twice as long.
 */
const doubtMs = 5_000;

/** Options of `Snapshots`. */
export interface SnapshotsOptions {
  readonly store: NodeStore;
  readonly tls: () => MeshTls;
  /** What every reachable peer said last. */
  readonly heads: () => ReadonlyMap<string, ReadonlyMap<string, PeerHead>>;
  /** An empty store takes a snapshot when the peer's logs hold so many operations in all. */
  readonly emptyTakesFrom: number;
  readonly nowMs: () => number;
  readonly log: Log;
  readonly surroundings: Surroundings;
}

/** Decides when this node cannot or should not follow the logs, and then takes a peer's snapshot instead, one at a time. */
export class Snapshots {
  readonly #options: SnapshotsOptions;
  readonly #distrusted = new Map<string, number>();
  readonly #doubtedMs = new Map<string, number>();
  readonly #patience = new Map<string, Patience>();
  #running: { readonly peer: string; snapshot: Snapshot | undefined; close: () => void } | undefined;
  #givingUp = false;
  #problem: string | undefined;
  #notBeforeMs = 0;
  #blockedSinceMs: number | undefined;
  #abandonAtMs: number | undefined;
  #stopped = false;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
  }

  get status(): SnapshotStatus | undefined {
    const running = this.#running;
    const { store } = this.#options;
    const { importing } = store.intake;
    if (running === undefined && importing === undefined && this.#problem === undefined) return undefined;
    return {
      peer: running?.peer,
      objects: running?.snapshot?.objects ?? 0,
      total: running?.snapshot?.total ?? 0,
      problem: this.#problem,
      incomplete: importing !== undefined || store.vector().size === 0,
    };
  }

  /**
   * Some log cannot be followed: perhaps all that is here is set aside soon for a snapshot, so nothing of it is to be
   * acknowledged. The site is out of step until then.
   */
  get behind(): boolean {
    return this.#running !== undefined || this.#blockedSinceMs !== undefined;
  }

  /** A peer has told its heads: whether its log is not to be pulled now, because a snapshot is needed or under way. */
  consider(member: MeshMember, theirs: ReadonlyMap<string, PeerHead>): boolean {
    if (this.#running !== undefined || this.#givingUp) return true;
    const needed = this.#needed(theirs);
    if (!needed) this.#problem = undefined;
    if (needed && this.#mayAsk(member, theirs)) this.#start(member);
    return needed;
  }

  stop(): void {
    this.#stopped = true;
    this.#running?.close();
  }

  #needed(theirs: ReadonlyMap<string, PeerHead>): boolean {
    const { store, nowMs, emptyTakesFrom } = this.#options;
    if (store.intake.importing !== undefined) return true;
    const heads = [...theirs.values()];
    if (store.vector().size === 0) {
      const operations = heads.reduce((sum, { seq }) => sum + seq, 0);
      return operations >= emptyTakesFrom || heads.some(({ base }) => base > 0);
    }
    if (this.#blocked().length === 0) {
      this.#blockedSinceMs = undefined;
      return false;
    }
    this.#blockedSinceMs ??= nowMs();
    return nowMs() - this.#blockedSinceMs >= blockedMs;
  }

  /** Logs that go on at a peer, and of which nobody who is reachable has the next operation any more. */
  #blocked(): readonly string[] {
    const vector = this.#options.store.vector();
    const blocked = new Map<string, boolean>();
    for (const [identity, heads] of this.#options.heads()) {
      if (this.#isDistrusted(identity)) continue;
      for (const [origin, { seq, base }] of heads) {
        const mine = vector.get(origin) ?? 0;
        if (seq > mine) blocked.set(origin, base > mine && (blocked.get(origin) ?? true));
      }
    }
    return [...blocked].flatMap(([origin, isBlocked]) => (isBlocked ? [origin] : []));
  }

  /** One begun before is finished with its peer, if it is there. */
  #mayAsk(member: MeshMember, theirs: ReadonlyMap<string, PeerHead>): boolean {
    const { store, nowMs, heads } = this.#options;
    if (this.#stopped || nowMs() < this.#notBeforeMs || this.#isDistrusted(member.identity)) return false;
    // The time stamps of a snapshot are followed, so the first peer to be heard does not judge them by its own.
    if (!store.clock.isSettled) return false;
    const begun = store.intake.importing?.identity;
    const itsHeads = begun === undefined ? undefined : heads().get(begun);
    // It may have been set back meanwhile, and is not waited for then.
    const goesOn = itsHeads !== undefined && this.#helps(itsHeads) && !this.#distrusted.has(begun ?? "");
    return this.#helps(theirs) && (begun === member.identity || !goesOn);
  }

  #isDistrusted(identity: string): boolean {
    return (this.#distrusted.get(identity) ?? 0) > this.#options.nowMs();
  }

  /** Whether the peer has something that is lacking here and cannot be had by the logs. From one that hangs back as well a snapshot would bring nothing. */
  #helps(theirs: ReadonlyMap<string, Pick<PeerHead, "seq">>): boolean {
    const { store } = this.#options;
    const { importing } = store.intake;
    const held = importing?.floor ?? store.vector();
    const seq = (origin: string) => theirs.get(origin)?.seq ?? 0;
    // What was thrown away only who holds all of it can give back.
    if (importing?.aside === false) return [...held].every(([origin, mine]) => seq(origin) >= mine);
    if (held.size === 0) return true;
    const lacking = importing === undefined ? this.#blocked() : [...theirs.keys()];
    return lacking.some((origin) => seq(origin) > (held.get(origin) ?? 0));
  }

  /** To be called every second or so: without anybody to have the rest from, this node is again what it was before. */
  tick(): void {
    const { store, heads, nowMs, surroundings } = this.#options;
    const { importing } = store.intake;
    const helped = () => [...heads()].some(([identity, held]) => !this.#isDistrusted(identity) && this.#helps(held));
    const isIdle = this.#running === undefined && !this.#givingUp;
    const isAlone = importing?.aside === true && importing.floor.size > 0 && isIdle && !helped();
    if (!isAlone) {
      this.#abandonAtMs = undefined;
      return;
    }
    // Not the same for all: two may each be taking in what the other was.
    this.#abandonAtMs ??= nowMs() + abandonMs * (1 + surroundings.random());
    if (nowMs() < this.#abandonAtMs) return;
    this.#abandonAtMs = undefined;
    this.#blockedSinceMs = undefined;
    void this.#giveUp();
  }

  /** Nobody is asked meanwhile: what came from there would not meet what it belongs to. */
  async #giveUp(): Promise<void> {
    const { store, log } = this.#options;
    this.#givingUp = true;
    try {
      if (!(await store.intake.abandon())) return;
      this.#problem = undefined;
      log({ level: "warn", event: "snapshotAbandoned" });
    } catch {
      // PostgreSQL is away: the next tick tries again.
    } finally {
      this.#givingUp = false;
    }
  }

  #start(member: MeshMember): void {
    const { log, nowMs } = this.#options;
    const startedMs = nowMs();
    this.#running = { peer: member.name, snapshot: undefined, close: () => undefined };
    log({ level: "info", event: "snapshotStarted", peer: member.name });
    this.#take(member)
      .then(
        (objects) => {
          this.#problem = undefined;
          this.#distrusted.clear();
          this.#patience.clear();
          log({
            level: "info",
            event: "snapshotTaken",
            peer: member.name,
            objects,
            ms: Math.round(nowMs() - startedMs),
          });
        },
        (error: Error) => this.#failed(member, error),
      )
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #take(member: MeshMember): Promise<number> {
    const { store, tls, surroundings } = this.#options;
    const connection = await surroundings.connect({
      peer: member,
      tls: tls(),
      notified: () => undefined,
      lost: () => undefined,
    });
    try {
      const { identity } = member;
      const helps = (vector: Vector) => this.#shows(identity, vector);
      const patience = this.#patienceWith(identity);
      const snapshot = new Snapshot({ connection, store, identity, helps, patience });
      this.#running = { peer: member.name, snapshot, close: () => connection.close() };
      if (this.#stopped) return 0;
      await snapshot.run();
      return snapshot.objects;
    } finally {
      connection.close();
    }
  }

  /** Whether a peer that is proved to stand there helps; one that does not has said what is not so. */
  #shows(identity: string, vector: Vector): boolean {
    const helps = this.#helps(new Map([...vector].map(([origin, seq]) => [origin, { seq }])));
    if (helps) {
      this.#doubtedMs.delete(identity);
      return true;
    }
    this.#doubt(identity);
    return false;
  }

  #doubt(identity: string): void {
    const forMs = Math.min(distrustMs, 2 * (this.#doubtedMs.get(identity) ?? doubtMs / 2));
    this.#doubtedMs.set(identity, forMs);
    this.#distrusted.set(identity, this.#options.nowMs() + forMs);
  }

  #patienceWith(identity: string): Patience {
    const patience = this.#patience.get(identity) ?? new Patience(this.#options.nowMs);
    this.#patience.set(identity, patience);
    return patience;
  }

  /** A peer that fails again and again holds this node up as one does that is slow. */
  #lose(identity: string): void {
    const patience = this.#patienceWith(identity);
    patience.lost(retryMs);
    if (!patience.isOver) return;
    patience.renew();
    this.#doubt(identity);
  }

  #failed(member: MeshMember, error: Error): void {
    const { log, nowMs } = this.#options;
    if (this.#stopped) return;
    this.#problem = `no snapshot from ${member.name}: ${error.message}`;
    this.#notBeforeMs = nowMs() + retryMs;
    if (error instanceof StoreError && error.code === "invalid")
      this.#distrusted.set(member.identity, nowMs() + distrustMs);
    else this.#lose(member.identity);
    log({ level: "warn", event: "snapshotFailed", peer: member.name, problem: error.message });
  }
}
