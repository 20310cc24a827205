import type { NodeStore } from "../store/types.ts";
import { type Comparison, compareAtPeer, compareHere, showsFork, showsMore } from "./forks.ts";
import type { PeerConnection } from "./peer-connection.ts";
import type { PeerHead } from "./types.ts";

/** What a look at this node's own log at a peer came to. */
export type Seen =
  /** It takes more of it in. */
  | { readonly what: "goesOn" }
  /** It holds nothing of it that is not here. */
  | { readonly what: "agrees" }
  /** It holds more of it, or another: this node's database is an older one. */
  | { readonly what: "lost"; readonly mine: number; readonly comparison: Comparison }
  /** It says so, and shows nothing under a MAC of the fleet; `first`: since it said something else. */
  | { readonly what: "unproved"; readonly mine: number; readonly first: boolean };

/** What is told of the link to a peer that says so. */
export function problemOf(seen: Exclude<Seen, { readonly what: "goesOn" | "agrees" }>, theirs: number): string {
  const says = `holds ${theirs} operations of this node, its own database ${seen.mine}`;
  if (seen.what === "lost") return `${says}: that was restored or has lost writes`;
  return `says that it ${says}, and shows none that a member has made: look at its database`;
}

/**
 * What one peer says of this node's own log, look after look. By it a node ends its log or stops serving, so no word is
 * taken for it: a peer whose database was changed, or somebody in its place, could else end every other node.
 */
export class OwnLogAtPeer {
  readonly #store: NodeStore;
  #before = { incarnation: "", seq: 0 };
  #unproved = 0;

  constructor(store: NodeStore) {
    this.#store = store;
  }

  async look(connection: PeerConnection, theirs: PeerHead): Promise<Seen> {
    const store = this.#store;
    // What a snapshot has emptied is filled again by its end.
    if (store.intake.importing !== undefined) return { what: "goesOn" };
    const { incarnation } = store;
    const known = this.#before.incarnation === incarnation ? this.#before.seq : 0;
    this.#before = { incarnation, seq: theirs.seq };
    const mine = store.vector().get(incarnation) ?? 0;
    // What was durable a moment ago may be known there sooner than here; before the first write of a life nothing is.
    const before = store.ownEndKnown ? known : theirs.seq;
    // As long as it takes more, it has found that what it has is the beginning of what is here.
    if (before < theirs.seq && before <= mine) return { what: "goesOn" };
    if (before <= mine && (await compareHere(store, incarnation, theirs)) !== "forked") return { what: "agrees" };
    return this.#proved(connection, mine, theirs.seq);
  }

  async #proved(connection: PeerConnection, mine: number, theirs: number): Promise<Seen> {
    const store = this.#store;
    const { incarnation: origin } = store;
    const isShown =
      theirs <= mine
        ? await showsFork(connection, store, { origin, seq: theirs })
        : await showsMore(connection, store, origin);
    if (isShown) {
      const comparison = theirs <= mine ? "forked" : await compareAtPeer(connection, store, origin);
      return { what: "lost", mine, comparison };
    }
    const first = this.#unproved !== theirs;
    this.#unproved = theirs;
    return { what: "unproved", mine, first };
  }
}
