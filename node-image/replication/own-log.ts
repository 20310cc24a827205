import type { Renewal } from "../store/ledger.ts";
import type { Log, NodeStore } from "../store/types.ts";
import type { MeshMember } from "./types.ts";

/** A node that starts waits so long for all members' word before it counts as caught up without it. */
const askMs = 3_000;

/** Options of `OwnLog`. */
export interface OwnLogOptions {
  readonly store: Pick<NodeStore, "incarnation" | "ownName" | "vector" | "renew" | "ownEndKnown" | "setOwnEndKnown">;
  readonly self: { readonly name: string; readonly identity: string };
  readonly members: () => readonly MeshMember[];
  /** Identities of all other members that take part in the exchange. */
  readonly others: () => readonly string[];
  readonly nowMs: () => number;
  readonly log: Log;
}

/**
 * Whether a node that starts may go on with its log. Its disk may be older than what it has written, and members may hold
 * more: a sequence that was used must never be used again for something else. So the log goes on only once every member's
 * database was seen to hold no more of it, and its key server has acknowledged over a new connection, before which it brings
 * to its disk whatever came by an earlier one. Who is to write before that begins a log of a new name, and has the rest of
 * the one before, if there is more of it, from those who hold it.
 */
export class OwnLog {
  readonly #options: OwnLogOptions;
  readonly #startedMs: number;
  readonly #agreed = new Set<string>();
  readonly #acknowledged = new Set<string>();

  constructor(options: OwnLogOptions) {
    this.#options = options;
    this.#startedMs = options.nowMs();
  }

  /** Nothing that is still to come is worth waiting for. */
  get asked(): boolean {
    const { store, nowMs } = this.#options;
    return store.ownEndKnown || nowMs() - this.#startedMs >= askMs;
  }

  /** A peer's database holds nothing of the log of this name that is not here. */
  agreed(identity: string, incarnation: string): void {
    this.#heard(this.#agreed, identity, incarnation);
  }

  /** A peer's key server has acknowledged the log of this name over a connection to the PostgreSQL that runs now. */
  acknowledged(identity: string, incarnation: string): void {
    this.#heard(this.#acknowledged, identity, incarnation);
  }

  /** Before the first write of this life. */
  async open(): Promise<void> {
    this.#conclude();
    const { store } = this.#options;
    if (store.ownEndKnown) return;
    const { incarnation } = store;
    const head = store.vector().get(incarnation) ?? 0;
    const reason = `it was started again and could not ask ${this.#missing().join(", ")} how much they hold of its log`;
    await this.begin({ former: incarnation, head, why: "notAsked" }, reason);
  }

  /**
   * At the start, and whenever the log has another name. One that is not proved to be this node's is taken for it all the
   * same, as software before this has proved none, unless the fleet knows it as the log of another.
   */
  async claim(): Promise<void> {
    const { store, self, members } = this.#options;
    const { incarnation } = store;
    if (await store.ownName.isProved(self.identity, incarnation)) return;
    const other = members().find((member) => member.name !== self.name && member.incarnation === incarnation);
    if (other !== undefined) {
      const renewal = { former: incarnation, head: Number.MAX_SAFE_INTEGER, why: "setBack" } as const;
      await this.begin(renewal, `its database gives it the name of the log of ${other.name}`);
    }
    await store.ownName.prove(self.identity, store.incarnation);
  }

  /** Begins a log of a new name in place of this one, with a reason for people. */
  async begin(renewal: Renewal, reason: string): Promise<void> {
    const { store, log } = this.#options;
    if (await store.renew(renewal))
      log({ level: "warn", event: "newIncarnation", incarnation: store.incarnation, reason });
  }

  #heard(all: Set<string>, identity: string, incarnation: string): void {
    if (this.#options.store.ownEndKnown || incarnation !== this.#options.store.incarnation) return;
    all.add(identity);
    this.#conclude();
  }

  #missing(): readonly string[] {
    const [agreed, acknowledged] = [this.#agreed, this.#acknowledged];
    return this.#options.others().filter((identity) => !agreed.has(identity) || !acknowledged.has(identity));
  }

  #conclude(): void {
    if (this.#missing().length === 0) this.#options.store.setOwnEndKnown();
  }
}
