import type { KmsNodeSpec } from "@keyfleet/crds/kms-node.ts";
import type { Gate } from "@keyfleet/crds/reasons.ts";
import type { Desired } from "../desired/desired.ts";
import type { Action, KmsNode, Observed } from "../ports/types.ts";

/** A closed gate: what waits, why, and what to do about it. */
export interface Blocked {
  readonly gate: Gate;
  /** Name of the node, the site, or the object. */
  readonly subject: string;
  readonly message: string;
  readonly remedy: string;
  /** It is expected to open by itself soon, so nobody needs to be told. */
  readonly passing?: boolean;
  /** Milliseconds until time alone may have opened it; absent where something has to change first. */
  readonly opensInMs?: number;
}

/** Everything a policy looks at. */
export interface View {
  readonly observed: Observed;
  readonly desired: Desired;
  /** Why a node needs a new certificate; undefined when it does not. */
  readonly certificateNeed: CertificateNeed;
}

/** Why a node needs a new certificate of this CA; undefined when it does not. */
export type CertificateNeed = (node: KmsNode, ca: string, nowMs: number) => string | undefined;

/** What a step changes of one node of this site. */
export interface NodeChange {
  readonly membership?: KmsNodeSpec["membership"];
  readonly version?: string;
  /** Settings that need a restart become those of the specification. */
  readonly settings?: KmsNodeSpec["settings"];
  /** Added to those that the KmsNode has. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** An annotation that is taken away. */
  readonly without?: string;
}

/** One step on the fleet. Only one is taken at a time, only under the lock. */
export type FleetStep =
  | { readonly kind: "node"; readonly node: string; readonly change: NodeChange; readonly doing: string }
  /** How this site's nodes list a member from now on; the other sites follow. */
  | {
      readonly kind: "standing";
      readonly node: string;
      readonly standing: "Fenced" | "Departed";
      readonly lastSequence?: number;
      readonly doing: string;
    }
  /** The version whose features this site's nodes may use from now on; the other sites follow. */
  | { readonly kind: "level"; readonly level: string; readonly doing: string }
  | { readonly kind: "actions"; readonly actions: readonly Action[]; readonly doing: string }
  | {
      readonly kind: "wait";
      readonly doing: string;
      readonly blocked: readonly Blocked[];
      /** Only a person can change that, so policies below may go ahead meanwhile. */
      readonly yields?: true;
    };

/** Has an opinion on the next step of the fleet, or leaves it to the policies below it. Pure. */
export type FleetPolicy = (view: View) => FleetStep | undefined;

/** What this site does by itself, whatever the others do. Pure. */
export type LocalPolicy = (view: View, fleet: FleetStep | undefined) => readonly Action[];

/** What to do now. `doing` is one short sentence for people. */
export type Plan = {
  readonly doing: string | undefined;
  readonly blocked: readonly Blocked[];
} & (
  | {
      readonly kind: "act";
      readonly actions: readonly Action[];
      /** When to look again at what goes on beside them; absent when nothing does. */
      readonly recheckAfterMs?: number;
    }
  | { readonly kind: "wait"; readonly recheckAfterMs: number }
  | { readonly kind: "blocked" }
  | { readonly kind: "settled" }
);
