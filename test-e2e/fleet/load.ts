import assert from "node:assert/strict";
import { allNodes, type Fleet, waitForAllServing, waitUntilEqual } from "./fleet.ts";
import type { Answer } from "./kmip-clients.ts";
import { type Outage, type OutageWatch, takenMeanwhile, watchOutages } from "./outages.ts";
import type { Place } from "./places.ts";
import { readEverywhere } from "./read-back.ts";
import { startWriters, type Writers } from "./writers.ts";

const mostRead = 400;
/** Longer than the three endpoints of a request may take to fail: that nobody was answered meanwhile is an outage of the fleet. */
const mostQuietMs = 10_000;
/** A client that nobody answered any more when the others had been. */
const silentMs = 60_000;

/** Clients that write to a fleet while something is done to it, and a look each second at who serves. */
export interface Load {
  /** Waits for more acknowledged writes. */
  more(keys: number): Promise<number>;
  /** A site is lost now: its nodes may be away, and nobody may take another one meanwhile. */
  lost(site: string): void;
  /**
   * Waits until all serve; asserts that no request failed, no client fell silent, never more nodes were away than may be, all logs are equal, and
   * reads back. Answers with the keys that it read.
   */
  end(tell: (line: string) => void): Promise<readonly Answer[]>;
  /** Ends it without a judgement. */
  cancel(): Promise<void>;
}

/** What a story that takes down another number of nodes at once, or moves the endpoints, says of its load. */
export interface LoadOptions {
  /** At how many endpoints a request is tried before it has failed; three when not given. */
  readonly tries?: number;
  /** How many nodes may be away at once, those of lost sites left out; one when not given. */
  readonly mostAway?: number;
}

/** Starts writers with three endpoints at which each request is tried before it has failed. */
export async function underLoad(
  place: Place,
  fleet: Fleet,
  name: string,
  { tries = 3, mostAway = 1 }: LoadOptions = {},
): Promise<Load> {
  const { call, endpoints, nodes } = fleet;
  const names = nodes.map(({ metadata }) => metadata.name);
  const outages = watchOutages(place, names);
  const writers = startWriters(place, { endpoints, call, name: `${name}-${Date.now()}`, seconds: 1_800, tries });
  const cancel = async () => void (await Promise.allSettled([outages.stop(), writers.stop()]));
  try {
    await writers.more(30, 300_000);
  } catch (error) {
    // Nobody else could end them: the story would not end before its clients do.
    await cancel();
    throw error;
  }
  return {
    more: (keys) => writers.more(keys, 300_000),
    lost: outages.lost,
    end: (tell) => judge(place, fleet, { writers, outages, mostAway, tell }),
    cancel,
  };
}

interface Judged {
  readonly writers: Writers;
  readonly outages: OutageWatch;
  readonly mostAway: number;
  readonly tell: (line: string) => void;
}

async function judge(
  place: Place,
  { call, nodes }: Fleet,
  { writers, outages, mostAway, tell }: Judged,
): Promise<readonly Answer[]> {
  await waitForAllServing(place, { deadlineMs: 600_000 });
  await writers.more(30, 300_000);
  const silent = writers.silentFor(silentMs);
  const keys = await writers.stop();
  const { looks, outages: seen } = await outages.stop();
  const taken = ({ nodes: away, lost }: Outage) => away.length - lost.length;
  const most = Math.max(0, ...seen.map(taken));
  tell(
    `${keys.length} requests answered, ${writers.failures().length} failed, ${writers.retries().length} tries went on at ` +
      `another endpoint, slowest ${writers.slowestMs()} ms, nobody answered for ${writers.quietMs()} ms at most; at most ${most} of ${nodes.length} nodes not serving in ${looks} looks`,
  );
  assert.deepEqual(writers.failures(), []);
  assert.deepEqual(silent, [], "each client was answered to the end");
  assert.ok(writers.quietMs() <= mostQuietMs, `nobody was answered for ${writers.quietMs()} ms`);
  const tooMany = seen.filter((outage) => taken(outage) > mostAway);
  assert.equal(tooMany.length, 0, `not serving together: ${JSON.stringify(tooMany)}`);
  assert.deepEqual(takenMeanwhile(seen), []);
  const names = nodes.map(({ metadata }) => metadata.name);
  const there = (await allNodes(place)).filter(({ metadata }) => names.includes(metadata.name));
  await waitUntilEqual(place, there, 300_000);
  const read = spread(keys);
  await readEverywhere(place, call, { keys: read, nodes: there.slice(0, 3) });
  return read;
}

/** Of the keys of a long load some hundred, from the first to the last: equal logs speak for the rest. */
function spread<Key>(keys: readonly Key[]): Key[] {
  const step = Math.ceil(keys.length / mostRead);
  return keys.filter((_, at) => at % step === 0);
}
