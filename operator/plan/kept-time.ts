import type { KubernetesObject, Observed } from "../ports/types.ts";

/** Annotation of a volume whose node was removed: about until when it is kept. It is for people, nothing is decided by it. */
export const keptUntil = "keyfleet.io/kept-until";
/** Beside it: for how long it is to be kept, and how much of that has passed (JSON). */
export const keptTime = "keyfleet.io/kept-time";
/** How much has passed is written down so often; when another operator goes on, no more than that is not counted. */
export const countedEveryMs = 600_000;
const defaultRetention = "168h";

/** What the annotation says. */
interface KeptTime {
  /** "168h" */
  readonly retention: string;
  /** So long the volume had been kept ... */
  readonly keptMs: number;
  /** ... when the clock that never jumps of this operator ... */
  readonly instance: string;
  /** ... stood there. */
  readonly atMs: number;
}

/** The annotations of a volume that is kept from now on; for as long as the document says when `retention` is not known. */
export function beginsToBeKept(observed: Observed, retention?: string): Record<string, string> {
  return marks(observed, { retention: retention ?? retentionOf(observed), keptMs: 0 });
}

/** The annotations with what has passed since, when that is to be written down; undefined when it is not. */
export function goesOn(observed: Observed, claim: KubernetesObject): Record<string, string> | undefined {
  const { retention, instance, atMs } = read(observed, claim);
  const isCounted = instance === observed.instance && observed.monotonicMs - atMs < countedEveryMs;
  return isCounted ? undefined : marks(observed, { retention, keptMs: keptMs(observed, claim) });
}

/** Whether a volume has been kept for its time. */
export function isOver(observed: Observed, claim: KubernetesObject): boolean {
  return keptMs(observed, claim) >= (durationMs(read(observed, claim).retention) ?? Number.POSITIVE_INFINITY);
}

/**
 * How long a volume has been kept at least. Clocks that tell the time of day jump, and all of a site may be wrong alike, so
 * none is asked: only what passed on the clock of the operator that counts, which never jumps. What no operator saw pass is
 * not counted.
 */
function keptMs(observed: Observed, claim: KubernetesObject): number {
  const { keptMs, instance, atMs } = read(observed, claim);
  return instance === observed.instance ? keptMs + Math.max(0, observed.monotonicMs - atMs) : keptMs;
}

function marks(observed: Observed, { retention, keptMs }: Pick<KeptTime, "retention" | "keptMs">) {
  const left = Math.max(0, (durationMs(retention) ?? 0) - keptMs);
  const counted: KeptTime = {
    retention,
    keptMs: Math.floor(keptMs),
    instance: observed.instance,
    atMs: Math.ceil(observed.monotonicMs),
  };
  return { [keptUntil]: new Date(observed.nowMs + left).toISOString(), [keptTime]: JSON.stringify(counted) };
}

/** What somebody made unreadable counts anew. */
function read(observed: Observed, { metadata }: KubernetesObject): KeptTime {
  const { retention, keptMs, instance, atMs } = parsed(metadata.annotations?.[keptTime]);
  const isWhole = typeof instance === "string" && Number.isFinite(keptMs) && Number.isFinite(atMs);
  if (isWhole && durationMs(retention) !== undefined) return { retention, keptMs, instance, atMs } as KeptTime;
  return { retention: retentionOf(observed), keptMs: 0, instance: "", atMs: 0 };
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
