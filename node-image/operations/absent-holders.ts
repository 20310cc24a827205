import { isDeepStrictEqual } from "node:util";
import { deficitOf, entryOf, rightsOf, type UsageEntry, type UsageLedger } from "../objects/usage-ledger.ts";

/** How long nobody waits for a node that did not answer, unless it is heard of: then one tries again whether it does. */
export const absentMs = 10_000;

/** One object's ledger, as a node sees it. */
export interface SeenLedger {
  readonly object: string;
  readonly ledger: UsageLedger;
  /** The node's own name in it. */
  readonly own: string;
}

/** Nodes that hold units and did not hand them over in time. They cost the first use its wait, and not each one. */
export interface AbsentHolders {
  /** Notes who still holds units that this node asked for and waited for in vain. */
  waitedFor(seen: SeenLedger): void;
  /** Forgets whoever wrote something new into the ledger that was waited for. */
  heard(seen: Omit<SeenLedger, "own">): void;
  /** Whether this node and those that are not known to be away hold so many units. */
  mayHave(units: number, seen: Omit<SeenLedger, "object">): boolean;
}

interface Absence {
  readonly object: string;
  /** What the node had written when it was waited for. */
  readonly entry: UsageEntry;
  readonly untilMs: number;
}

/** Nobody is away at first. As many are kept as nodes have ever held units. */
export function absentHolders(nowMs: () => number): AbsentHolders {
  const absent = new Map<string, Absence>();
  const isAway = (node: string) => (absent.get(node)?.untilMs ?? 0) > nowMs();
  return {
    waitedFor: ({ object, ledger, own }) => {
      // With all that was asked for the others are here: somebody else at this node was faster.
      if (deficitOf(ledger, own) === 0) return;
      for (const node of ledger.keys()) {
        if (node === own || rightsOf(ledger, node) <= 0) continue;
        absent.set(node, { object, entry: entryOf(ledger, node), untilMs: nowMs() + absentMs });
      }
    },
    heard: ({ object, ledger }) => {
      for (const [node, absence] of absent)
        if (absence.object === object && !isDeepStrictEqual(absence.entry, entryOf(ledger, node))) absent.delete(node);
    },
    mayHave: (units, { ledger, own }) => {
      const present = [...ledger.keys()].filter((node) => node !== own && !isAway(node));
      return [own, ...present].reduce((sum, node) => sum + rightsOf(ledger, node), 0) >= units;
    },
  };
}
