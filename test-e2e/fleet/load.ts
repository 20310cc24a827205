import assert from "node:assert/strict";
import { type Fleet, waitForAllServing, waitUntilEqual } from "./fleet.ts";
import { type OutageWatch, watchOutages } from "./outages.ts";
import type { Place } from "./places.ts";
import { readEverywhere } from "./read-back.ts";
import { startWriters, type Writers } from "./writers.ts";

const mostRead = 400;

/** Clients that write to a fleet while something is done to it, and a look each second at who serves. */
export interface Load {
  /** Waits for more acknowledged writes. */
  more(keys: number): Promise<number>;
  /** Waits until all serve; asserts that no request failed, never two nodes were away, all logs are equal, and reads back. */
  end(tell: (line: string) => void): Promise<void>;
  /** Ends it without a judgement. */
  cancel(): Promise<void>;
}

/** Starts writers with three endpoints at which each request is tried before it has failed. */
export async function underLoad(place: Place, fleet: Fleet, name: string): Promise<Load> {
  const { call, endpoints, nodes } = fleet;
  const names = nodes.map(({ metadata }) => metadata.name);
  const outages = watchOutages(place, names);
  const writers = startWriters(place, { endpoints, call, name: `${name}-${Date.now()}`, seconds: 1_800, tries: 3 });
  await writers.more(30);
  return {
    more: (keys) => writers.more(keys, 120_000),
    end: (tell) => judge(place, fleet, { writers, outages, tell }),
    cancel: async () => void (await Promise.all([outages.stop(), writers.stop()])),
  };
}

async function judge(
  place: Place,
  { call, nodes }: Fleet,
  { writers, outages, tell }: { writers: Writers; outages: OutageWatch; tell: (line: string) => void },
): Promise<void> {
  await waitForAllServing(place, { deadlineMs: 240_000 });
  await writers.more(30);
  const keys = await writers.stop();
  const { looks, outages: seen } = await outages.stop();
  const most = Math.max(0, ...seen.map((outage) => outage.nodes.length));
  tell(
    `${keys.length} requests answered, ${writers.failures().length} failed, ${writers.retries().length} tries went on at ` +
      `another endpoint, slowest ${writers.slowestMs()} ms; at most ${most} of ${nodes.length} nodes not serving in ${looks} looks`,
  );
  assert.deepEqual(writers.failures(), []);
  assert.ok(most <= 1, `not serving together: ${JSON.stringify(seen.filter((outage) => outage.nodes.length > 1))}`);
  await waitUntilEqual(place, nodes, 60_000);
  await readEverywhere(place, call, { keys: spread(keys), nodes: nodes.slice(0, 3) });
}

/** Of the keys of a long load some hundred, from the first to the last: equal logs speak for the rest. */
function spread<Key>(keys: readonly Key[]): Key[] {
  const step = Math.ceil(keys.length / mostRead);
  return keys.filter((_, at) => at % step === 0);
}
