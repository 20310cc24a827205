import type { KmsNode, Member } from "@keyfleet/crds/kms-node.ts";
import { probePeer } from "../replication/probe.ts";
import type { PeerFacts } from "./facts.ts";
import { RollingLow } from "./rolling-low.ts";

/** How often the members are looked for; more often while a join would wait for one of them. */
const everyMs = { allReached: 30_000, someNot: 10_000 } as const;
/** So many at a time: each takes two seconds at most, and a fleet has twenty nodes at most. */
const atOnce = 4;

export interface PeerProbeOptions {
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Replaced in tests. */
  readonly reach?: typeof probePeer;
}

/**
 * Whether a node that waits to join reaches the mesh ports of the members. It exchanges nothing with them yet, so nothing else
 * could say so before it joins, and then the fleet would wait for it.
 */
export class PeerProbe {
  readonly #options: PeerProbeOptions;
  readonly #roundTrips = new RollingLow();
  #peers: readonly PeerFacts[] = [];
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #lookedFor = "";
  #looking = false;

  constructor(options: PeerProbeOptions) {
    this.#options = options;
  }

  /** What was measured last; empty while nothing was. */
  get peers(): readonly PeerFacts[] {
    return this.#peers;
  }

  /** Looks when it is time to, or the members are others; a node that does not wait has its links. True when the answer differs. */
  async look(waiting: KmsNode | undefined): Promise<boolean> {
    const trustBundlePem = waiting?.spec.trustBundle;
    const members = waiting === undefined ? [] : membersOf(waiting);
    if (trustBundlePem === undefined || members.length === 0) return this.#take([], "");
    const wanted = JSON.stringify([members, trustBundlePem]);
    if (this.#looking || !this.#isDue(wanted)) return false;
    this.#looking = true;
    this.#lookedAtMs = this.#options.nowMs();
    this.#lookedFor = wanted;
    try {
      const found = await this.#all(members, trustBundlePem);
      // The node may have begun to join meanwhile: what it waited for then is asked for no more.
      return this.#lookedFor === wanted && this.#take(found, wanted);
    } finally {
      this.#looking = false;
    }
  }

  #isDue(wanted: string): boolean {
    const pauseMs = this.#peers.every(({ connected }) => connected) ? everyMs.allReached : everyMs.someNot;
    return wanted !== this.#lookedFor || this.#options.nowMs() - this.#lookedAtMs >= pauseMs;
  }

  #take(found: readonly PeerFacts[], wanted: string): boolean {
    const changed = JSON.stringify(found) !== JSON.stringify(this.#peers);
    this.#peers = found;
    this.#lookedFor = wanted;
    return changed;
  }

  async #all(members: readonly Member[], trustBundlePem: string): Promise<PeerFacts[]> {
    const found: PeerFacts[] = [];
    for (let at = 0; at < members.length; at += atOnce)
      found.push(...(await Promise.all(members.slice(at, at + atOnce).map((peer) => this.#one(peer, trustBundlePem)))));
    return found;
  }

  async #one(peer: Member, trustBundlePem: string): Promise<PeerFacts> {
    const { reach = probePeer, nowMs } = this.#options;
    const { name } = peer;
    return reach({ peer, trustBundlePem }).then(
      (ms) => ({ name, connected: true, roundTripMs: this.#roundTrips.take(name, ms, nowMs()) }),
      () => ({ name, connected: false }),
    );
  }
}

/** Those that have an address and serve, or shall; who comes or goes has none of what it needs. */
function membersOf({ metadata, spec }: KmsNode): Member[] {
  return spec.members.filter(
    ({ name, standing, address }) => name !== metadata.name && standing === "Member" && address !== undefined,
  );
}
