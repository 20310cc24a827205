import type { Context } from "../operations/context.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { tag } from "./tags.ts";

/** One operation that was asked for, for the activity log. Names and identifiers only: no value of an attribute, no byte of a key. */
export interface Activity {
  /** Identity of the caller. */
  readonly caller: string;
  /** KMIP name of the operation, or "unknown". */
  readonly operation: string;
  /** Protocol version as "1.4". */
  readonly version: string;
  /** Identifiers of the objects that were asked for or made, at most `objectsMax`. */
  readonly objects: readonly string[];
  /** What the client was told: "success", "pending", "undone" or the KMIP Result Reason. Of a pending operation another line tells its end. */
  readonly result: string;
  /** What a refused client was told. */
  readonly reason?: string;
  readonly durationMs: number;
}

/** Takes one line of the activity log, which is made only if it is asked for. */
export type ActivityLog = (activity: () => Activity) => void;

/** Identifiers that one line names. */
const objectsMax = 16;
const identifierMaxLength = 1_024;

/** The parts of a line that follow from the request. */
export function activityOf(
  item: Item,
  { caller, version }: Pick<Context, "caller" | "version">,
  made: string | undefined,
): Pick<Activity, "caller" | "version" | "objects"> {
  const spoken = `${Math.floor(version / 10)}.${version % 10}`;
  const objects = new Set([...identifiersIn(item), ...(made === undefined ? [] : [made])]);
  return { caller: caller.identity, version: spoken, objects: [...objects] };
}

/** Identifiers in the request's payload, fit for a log line whatever the client wrote. */
function identifiersIn(item: Item): string[] {
  const children = item.type === itemType.structure ? item.value : [];
  const payload = children.find((child) => child.tag === tag.RequestPayload);
  const fields = payload?.type === itemType.structure ? payload.value : [];
  const named = fields.filter((field) => field.tag === tag.UniqueIdentifier && field.type === itemType.textString);
  return named.slice(0, objectsMax).map(({ value }) => loggable(String(value)));
}

/** Client text for a log line: printable and short. */
export function loggable(text: string): string {
  return text.slice(0, identifierMaxLength).replace(/[\p{C}]/gu, "?");
}
