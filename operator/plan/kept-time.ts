import type { BootTime, KubernetesObject, Observed } from "../ports/types.ts";

/** Annotation of a volume whose node was removed: about until when it is kept. It is for people, nothing is decided by it. */
export const keptUntil = "keyfleet.io/kept-until";
/** Beside it: for how long it is to be kept, and how much of that has passed (JSON). */
export const keptTime = "keyfleet.io/kept-time";
/** How much has passed is written down so often: that much is lost when a machine on which an operator counts is lost. */
export const countedEveryMs = 1_200_000;
/** Of so many machines it is known what their clocks said; of one more the one that was asked longest ago is forgotten. */
const mostBoots = 4;
const defaultRetention = "168h";

/** What the annotation says. */
interface KeptTime {
  /** "168h" */
  readonly retention: string;
  /** The last one written first, one a boot. */
  readonly counts: readonly Count[];
}

/** So long the volume had been kept when the clock of a machine stood there. */
interface Count {
  readonly keptMs: number;
  readonly boot: string;
  readonly atMs: number;
}

/** The annotations of a volume that is kept from now on; for as long as the document says when `retention` is not known. */
export function beginsToBeKept(observed: Observed, retention?: string): Record<string, string> {
  return marks(observed, { retention: retention ?? retentionOf(observed), counts: [] });
}

/** The annotations with what has passed since, when that is to be written down; undefined when it is not. */
export function goesOn(observed: Observed, claim: KubernetesObject): Record<string, string> | undefined {
  const { boot, ms } = observed.sinceBoot;
  const kept = read(observed, claim);
  const isCounted = kept.counts.some((count) => count.boot === boot && ms - count.atMs < countedEveryMs);
  return isCounted ? undefined : marks(observed, kept);
}

/** Whether a volume has been kept for its time. */
export function isOver(observed: Observed, claim: KubernetesObject): boolean {
  const { retention, counts } = read(observed, claim);
  return keptMs(counts, observed.sinceBoot) >= (durationMs(retention) ?? Number.POSITIVE_INFINITY);
}

/**
 * How long a volume has been kept at least. Clocks that tell the time of day jump, and all of a site may be wrong alike, so
 * none is asked: only what passed on the clock of the machine that counts, which never jumps, since it was read last,
 * whatever operator ran there then. What passed on other machines counts as far as it was written down.
 */
function keptMs(counts: readonly Count[], now: BootTime): number {
  const each = counts.map(({ keptMs, boot, atMs }) =>
    boot === now.boot ? keptMs + Math.max(0, now.ms - atMs) : keptMs,
  );
  return Math.max(0, ...each);
}

function marks(observed: Observed, { retention, counts }: KeptTime): Record<string, string> {
  const { boot, ms } = observed.sinceBoot;
  const kept = keptMs(counts, observed.sinceBoot);
  const left = Math.max(0, (durationMs(retention) ?? 0) - kept);
  const own: Count = { keptMs: Math.floor(kept), boot, atMs: Math.ceil(ms) };
  const others = counts.filter((count) => count.boot !== boot);
  const counted: KeptTime = { retention, counts: [own, ...others].slice(0, mostBoots) };
  return { [keptUntil]: new Date(observed.nowMs + left).toISOString(), [keptTime]: JSON.stringify(counted) };
}

/** What somebody made unreadable counts anew. */
function read(observed: Observed, { metadata }: KubernetesObject): KeptTime {
  const { retention, counts } = parsed(metadata.annotations?.[keptTime]);
  const isWhole = durationMs(retention) !== undefined && Array.isArray(counts) && counts.every(isCount);
  if (isWhole) return { retention, counts } as KeptTime;
  return { retention: retentionOf(observed), counts: [] };
}

function isCount(count: unknown): count is Count {
  const { keptMs, boot, atMs } = Object(count) as Partial<Count>;
  return typeof boot === "string" && Number.isFinite(keptMs) && Number.isFinite(atMs);
}

function parsed(text: string | undefined): Partial<KeptTime> {
  try {
    return Object(JSON.parse(text ?? "")) as Partial<KeptTime>;
  } catch {
    return {};
  }
}

function retentionOf({ cluster }: Observed): string {
  return cluster.spec.defaults?.storage?.retainAfterRemoval ?? defaultRetention;
}

/** "90m" or "168h" in milliseconds; undefined for anything else. */
function durationMs(text: unknown): number | undefined {
  const [, count, unit] = /^(\d{1,5})(m|h)$/.exec(String(text)) ?? [];
  return count === undefined ? undefined : Number(count) * (unit === "h" ? 3_600_000 : 60_000);
}
