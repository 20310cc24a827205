import type { Keyring } from "../keys/types.ts";
import type { Json } from "../objects/types.ts";
import { isProvedBy } from "./proved.ts";
import type { Vector } from "./types.ts";

/** Logs of this node that are remembered as ended where it left them; with one more it holds its rights anew. */
const logsMax = 1_000;

/** Earlier logs of this node that were ended because not all members could be asked, not because any was known to go on. */
export interface Continued {
  /** Under which name this node has held rights all along: that of the first of these logs. */
  readonly holder: string;
  /** How far each went here. */
  readonly logs: Vector;
  /** Base64; see `proved`. */
  readonly mac?: string;
}

/**
 * Under which name this node holds rights, which no other may spend: that of its log, or of an earlier one for as long as
 * none of these is known to go further than it did here. One that does shows that the database was an older one, in which
 * rights are there that were spent: then nothing is held under that name any more.
 */
export function holderOf(continued: Continued | undefined, incarnation: string, vector: Vector): string {
  if (continued === undefined) return incarnation;
  const goesOn = [...continued.logs].some(([origin, end]) => (vector.get(origin) ?? 0) > end);
  return goesOn ? incarnation : continued.holder;
}

/** After the log was ended as well; undefined when rights are held anew from then on. */
export function continuedWith(
  continued: Continued | undefined,
  { incarnation, end, holder }: { readonly incarnation: string; readonly end: number; readonly holder: string },
): Continued | undefined {
  const logs = new Map([...(holder === incarnation ? [] : (continued?.logs ?? [])), [incarnation, end] as const]);
  return logs.size > logsMax ? undefined : { holder, logs };
}

/** The same under a MAC: who can write the database would else spend, by this node, what another one holds. */
export function proved(keyring: Keyring, continued: Continued | undefined): Continued | undefined {
  return continued && { ...continued, mac: keyring.mac(authenticated(continued)).toString("base64") };
}

/** Whether a member of the fleet has made it. Throws KeyError "closed". */
export function isProved(keyring: Keyring, continued: Continued): boolean {
  return isProvedBy(keyring, authenticated(continued), continued.mac ?? "");
}

/** The bytes under the MAC; the first four tell them from all else that is authenticated. */
function authenticated({ holder, logs }: Continued): Buffer {
  return Buffer.from(`KFH1${JSON.stringify([holder, [...logs].sort()])}`);
}

/** As it is kept in the node's settings. */
export function encodeContinued(continued: Continued | undefined): string {
  return JSON.stringify(continued === undefined ? null : { ...continued, logs: Object.fromEntries(continued.logs) });
}

/** What `encodeContinued` made, or nothing. */
export function continuedFrom(value: Json | undefined): Continued | undefined {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return undefined;
  const { holder, logs, mac } = value as { holder?: Json; logs?: Json; mac?: Json };
  if (typeof holder !== "string" || logs === null || typeof logs !== "object" || Array.isArray(logs)) return undefined;
  const known = { holder, logs: new Map(Object.entries(logs as Record<string, number>)) };
  return typeof mac === "string" ? { ...known, mac } : known;
}
