import type { KubernetesObject } from "../ports/types.ts";

/** Annotations of the Lease that is one site's share of the fleet lock. */
export const lockAnnotations = {
  operation: "keyfleet.io/operation",
  node: "keyfleet.io/node",
  /** Tells two terms of leading of one site's operators apart. */
  instance: "keyfleet.io/instance",
} as const;

/** After so long without renewal a share is anybody's. */
export const leaseMs = 15_000;
/** The holder stops believing in its share so much earlier than others may take it. */
export const safetyMs = 3_000;

/** What a share says. */
export interface Share {
  readonly holder: string | undefined;
  readonly instance: string | undefined;
  readonly operation: string | undefined;
  readonly node: string | undefined;
}

/** One site's share as this process sees it. */
export interface SeenShare {
  readonly site: string;
  /** Undefined when the site cannot be read or has no Lease. */
  readonly share: Share | undefined;
  /** How long, by this process' own clock, the Lease has not changed. Clocks of sites are never compared. */
  readonly unchangedMs: number;
}

/** Who asks. */
export interface Self {
  readonly site: string;
  readonly instance: string;
}

export type ShareStanding = "mine" | "free" | "taken" | "unreadable";

export type LockDecision =
  | { readonly kind: "held" }
  /** Shares to take, in this order, to have the majority. */
  | { readonly kind: "take"; readonly sites: readonly string[] }
  | { readonly kind: "refuse"; readonly because: string };

/** How many shares are the majority of so many sites. */
export function majorityOf(sites: number): number {
  return Math.floor(sites / 2) + 1;
}

/**
 * Whether the lock can be had. `counting` are the sites that count, `seen` their shares. All operators try in the same
 * order, so that of several that start at once one wins the first share and the others turn back there.
 */
export function decideTake(self: Self, counting: readonly string[], seen: readonly SeenShare[]): LockDecision {
  const standings = new Map(seen.map((share) => [share.site, standingOf(self, share)]));
  const sites = [...counting].sort();
  const withStanding = (...wanted: readonly ShareStanding[]) =>
    sites.filter((site) => wanted.includes(standings.get(site) ?? "unreadable"));
  const needed = majorityOf(sites.length);
  if (sites.length === 0) return { kind: "refuse", because: "no site counts: spec.recovery.lostSites names them all" };
  if (withStanding("mine").length >= needed) return { kind: "held" };
  if (withStanding("mine", "free").length >= needed) return { kind: "take", sites: withStanding("mine", "free") };
  const taken = withStanding("taken");
  const unreadable = withStanding("unreadable");
  const reasons = [
    ...(taken.length > 0 ? [`${taken.join(", ")} taken by ${holdersOf(seen, taken)}`] : []),
    ...(unreadable.length > 0 ? [`${unreadable.join(", ")} cannot be read`] : []),
  ];
  return { kind: "refuse", because: `${needed} of ${sites.length} sites are needed: ${reasons.join("; ")}` };
}

/** What a share is to us. */
export function standingOf(self: Self, { share, unchangedMs }: SeenShare): ShareStanding {
  if (share === undefined) return "unreadable";
  if (share.holder === undefined || share.holder === "") return "free";
  // Whoever led this site before us has stopped: runtime/leadership.ts saw to that before we began.
  if (share.holder === self.site) return share.instance === self.instance ? "mine" : "free";
  return unchangedMs >= leaseMs ? "free" : "taken";
}

/** The work of this site's earlier leader that still has the majority: it is gone on with. Undefined when there is none. */
export function inheritedWork(
  self: Self,
  counting: readonly string[],
  seen: readonly SeenShare[],
): { readonly operation: string; readonly node: string } | undefined {
  const left = seen.filter(
    ({ site, share, unchangedMs }) =>
      counting.includes(site) &&
      share?.holder === self.site &&
      share.instance !== self.instance &&
      unchangedMs < leaseMs,
  );
  const share = left[0]?.share;
  const same = left.filter((one) => one.share?.instance === share?.instance);
  if (share?.operation === undefined || share.node === undefined || same.length < majorityOf(counting.length)) return;
  return { operation: share.operation, node: share.node };
}

/** The holder that others see: whoever has most shares that are not lapsed; undefined when nobody has any. */
export function holderOf(seen: readonly SeenShare[]): Share | undefined {
  const live = seen.filter(({ share, unchangedMs }) => share?.holder && unchangedMs < leaseMs);
  const count = (holder: string | undefined) => live.filter(({ share }) => share?.holder === holder).length;
  return live.map(({ share }) => share as Share).sort((a, b) => count(b.holder) - count(a.holder))[0];
}

/** Reads a Lease. */
export function shareOf(lease: KubernetesObject): Share {
  const holder = (lease.spec as { holderIdentity?: string } | undefined)?.holderIdentity;
  const annotations = lease.metadata.annotations ?? {};
  return {
    holder: holder === "" ? undefined : holder,
    instance: annotations[lockAnnotations.instance],
    operation: annotations[lockAnnotations.operation],
    node: annotations[lockAnnotations.node],
  };
}

function holdersOf(seen: readonly SeenShare[], sites: readonly string[]): string {
  const holders = seen.filter(({ site }) => sites.includes(site)).map(({ share }) => share?.holder ?? "");
  return [...new Set(holders)].join(", ");
}
