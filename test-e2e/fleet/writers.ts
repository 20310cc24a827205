import { until } from "./await.ts";
import { type Answer, type Call, type ClientName, startWriter } from "./kmip-clients.ts";
import type { Place } from "./places.ts";

/** Writers at every site, each of which goes on at another one when its own is gone. */
export interface Writers {
  /** How many keys were acknowledged so far. */
  count(): number;
  /** Waits until so many more keys were acknowledged; answers with the new count. */
  more(keys: number, deadlineMs?: number): Promise<number>;
  /** Ends them; answers with every acknowledged key. */
  stop(): Promise<readonly Answer[]>;
  /** Requests that failed; a writer then goes on with the next endpoint. */
  failures(): readonly Answer[];
  /** Tries that failed before a request was answered at another endpoint; only with `tries`. */
  retries(): readonly Answer[];
  /** The slowest acknowledged request, in milliseconds. */
  slowestMs(): number;
  /** The longest time in which nobody was answered, from the first answer to the last, in milliseconds. */
  quietMs(): number;
  /** Writers to which no answer came for so long. */
  silentFor(ms: number): readonly string[];
}

/** Who writes, where, under which names, and for how long at most. */
export interface WritersOptions {
  /** KMIP endpoints by node name. */
  readonly endpoints: ReadonlyMap<string, string>;
  readonly call: Call;
  readonly name: string;
  readonly seconds?: number;
  /** Where a writer begins, each a prefix of node names; every site when not given. */
  readonly startAt?: readonly string[];
  readonly client?: ClientName;
  /** At how many endpoints a request is tried before it has failed; only kmip-go. */
  readonly tries?: number;
}

const mostKeys = 20_000;
/** A client that asks for all that the processors have takes them from those who work on the fleet meanwhile. */
const everyMs = 400;

/** Starts one writer a site (or a place to start at). */
export function startWriters(place: Place, options: WritersOptions): Writers {
  const { endpoints, call, name, seconds = 120, startAt = place.sites.names, client = call.client, tries } = options;
  const begunMs = performance.now();
  const writers = startAt.map((start) => {
    const order = [...endpoints].sort(
      ([a], [b]) => Number(b.startsWith(start)) - Number(a.startsWith(start)) || a.localeCompare(b),
    );
    const ownCall = { ...call, client, endpoints: order.map(([, endpoint]) => endpoint) };
    return startWriter(place, ownCall, {
      ...{ name: `${name}-${start}`, count: mostKeys, seconds, everyMs },
      ...(tries === undefined ? {} : { tries }),
    });
  });
  const acknowledged = () => writers.flatMap((writer) => writer.acknowledged);
  const failures = () => writers.flatMap((writer) => writer.failures);
  const count = () => writers.reduce((sum, writer) => sum + writer.acknowledged.length, 0);
  return {
    count,
    failures,
    retries: () => writers.flatMap((writer) => writer.retries),
    more: async (keys, deadlineMs = 60_000) => {
      const wanted = count() + keys;
      const look = async () => ({ acknowledged: count(), lastFailure: failures().at(-1)?.error });
      const what = `${keys} more keys acknowledged`;
      return (await until(look, (seen) => seen.acknowledged >= wanted, { what, deadlineMs, everyMs: 100 }))
        .acknowledged;
    },
    stop: async () => {
      await Promise.all(writers.map((writer) => writer.stop()));
      return acknowledged();
    },
    slowestMs: () => Math.max(0, ...acknowledged().map(({ ms }) => ms ?? 0)),
    quietMs: () => longestPause(acknowledged().map(({ atMs = 0 }) => atMs)),
    silentFor: (ms) =>
      startAt.filter((_, at) => performance.now() - (writers[at]?.acknowledged.at(-1)?.atMs ?? begunMs) > ms),
  };
}

/** The longest time between two of these. */
export function longestPause(timesMs: readonly number[]): number {
  const ordered = timesMs.toSorted((one, other) => one - other);
  return Math.round(Math.max(0, ...ordered.slice(1).map((atMs, at) => atMs - (ordered[at] ?? atMs))));
}
