import { randomBytes } from "node:crypto";
import type { Gathering } from "../cryptography/gather.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Context } from "./context.ts";
import { keptBytes } from "./kept-bytes.ts";
import { sweeping } from "./sweeping.ts";

/** Operations in parts that wait for their next part; bounded in number, bytes and time, those of a caller are its own. */
export interface StreamTable {
  /** Keeps a state until `take`, or until its time is over; the value that names it. Throws Refusal at a limit. */
  keep(state: Gathering, belongs: StreamOwner): Buffer;
  /** The state, which is forgotten: after an error nothing of it is left. Throws Refusal. */
  take(correlationValue: Buffer, belongs: StreamOwner): unknown;
}

/** Who may go on with it, by which operation, with which object. */
export interface StreamOwner {
  readonly caller: string;
  readonly operation: string;
  readonly object: string;
}

/** Bounds besides those of bytes: of all callers together, of one, and of the time between two parts. */
export const streamLimits = { all: 4_096, ofCaller: 64, idleMs: 60_000 } as const;

interface Waiting extends StreamOwner {
  readonly state: Gathering;
  readonly bytes: number;
  readonly until: number;
}

/** An empty table. Values are random: nobody guesses another's. What nobody goes on with is wiped by the clock. */
export function streamTable(now: () => Date): StreamTable {
  const waiting = new Map<string, Waiting>();
  const room = keptBytes();
  const forget = (key: string, { caller, bytes }: Waiting) => {
    waiting.delete(key);
    room.resize(caller, bytes, 0);
  };
  /** Entries stand in the order of their ends; the next one. */
  const forgetOld = (): number | undefined => {
    const time = now().getTime();
    for (const [key, entry] of waiting) {
      if (entry.until > time) return entry.until;
      entry.state.gathered?.forget();
      forget(key, entry);
    }
    return undefined;
  };
  const endsAt = sweeping(() => now().getTime(), streamLimits.idleMs, forgetOld);
  return {
    keep: (state, belongs) => {
      forgetOld();
      const own = [...waiting.values()].filter(({ caller }) => caller === belongs.caller).length;
      const bytes = state.gathered?.bytes() ?? 0;
      const tooMany = own >= streamLimits.ofCaller || waiting.size >= streamLimits.all;
      if (tooMany || !room.resize(belongs.caller, 0, bytes)) {
        state.gathered?.forget();
        throw new Refusal(
          "PermissionDenied",
          "Too many operations in parts are open, or keep too much data: finish some, or try again in a minute",
          "ServerLimitExceeded",
        );
      }
      const value = randomBytes(16);
      const until = now().getTime() + streamLimits.idleMs;
      waiting.set(value.toString("hex"), { ...belongs, state, bytes, until });
      endsAt(until);
      return value;
    },
    take: (value, belongs) => {
      forgetOld();
      const key = value.toString("hex");
      const found = waiting.get(key);
      if (found === undefined || !same(found, belongs)) {
        throw new Refusal(
          "ItemNotFound",
          "Correlation Value is unknown here: it ended, or waited for over a minute",
          "InvalidCorrelationValue",
        );
      }
      forget(key, found);
      return found.state;
    },
  };
}

function same(one: StreamOwner, other: StreamOwner): boolean {
  return one.caller === other.caller && one.operation === other.operation && one.object === other.object;
}

/** How a request says which part it is (KMIP 1.4, 2.1.15 to 2.1.17). */
export interface PartRequest {
  readonly correlationValue?: Buffer;
  readonly initIndicator?: boolean;
  readonly finalIndicator?: boolean;
}

/** The state that the request goes on with, begun by `start` if it is the first, and whether this is the last part. */
export function resume<State extends Gathering>(
  request: PartRequest,
  object: string,
  context: Context,
  start: () => State,
) {
  const { correlationValue, initIndicator, finalIndicator } = request;
  const belongs = { caller: context.caller.identity, operation: context.operation, object };
  const { streams } = context.cryptography;
  if (correlationValue !== undefined && initIndicator === true) {
    throw new Refusal("InvalidField", "Init Indicator begins an operation: leave Correlation Value out");
  }
  const state = correlationValue === undefined ? start() : (streams.take(correlationValue, belongs) as State);
  const last =
    correlationValue === undefined ? initIndicator !== true || finalIndicator === true : finalIndicator === true;
  return { state, last, keep: () => streams.keep(state, belongs) };
}
