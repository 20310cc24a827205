import { setTimeout as delay } from "node:timers/promises";
import type { KmsCluster } from "../../operator/ports/types.ts";
import type { Simulation } from "../../operator/testing/simulation.ts";
import { look } from "./memory.ts";
import { type Running, runOperators, writesOf } from "./running.ts";

const [own, lost] = ["dc1", "dc2"] as const;
const lookMs = 10;
const longestMs = 60_000;
/** Looks half a second apart in which nothing was written. */
const calmLooks = 6;

/** How long until the status of the KmsCluster said it, of each time, in milliseconds. */
export interface LostSite {
  readonly lossMs: readonly number[];
  readonly returnMs: readonly number[];
}

/** In real time: the API server of one site becomes a black hole for the operator of another, and is there again. */
export async function lostSite(fleet: Simulation, rounds: number): Promise<LostSite> {
  const running = await runOperators({ fleet, own: [own] });
  try {
    await atRest(running);
    const [lossMs, returnMs]: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      // At another point of the second between two probes each time.
      await delay(2_000 + (1_000 * round) / rounds);
      running.relays.get(lost)?.swallow();
      lossMs.push(await untilShown(running, false));
      await delay(2_000);
      running.relays.get(lost)?.restore();
      returnMs.push(await untilShown(running, true));
    }
    return { lossMs, returnMs };
  } finally {
    await running.stop();
  }
}

async function untilShown({ api, cluster }: Running, reachable: boolean): Promise<number> {
  const beganMs = performance.now();
  const shown = () => {
    const { status } = api(own).peek("KmsCluster", cluster) as unknown as KmsCluster;
    return status?.siteStatus?.find(({ name }) => name === lost)?.reachable;
  };
  while (shown() !== reachable) {
    if (performance.now() - beganMs > longestMs)
      throw new Error(`${lost} is not shown as ${reachable} within a minute`);
    await delay(lookMs);
  }
  return performance.now() - beganMs;
}

async function atRest({ api }: Running): Promise<void> {
  for (let [calm, last] = [0, -1]; calm < calmLooks; await delay(500)) {
    await look(api(own));
    calm = writesOf(api(own)) === last ? calm + 1 : 0;
    last = writesOf(api(own));
  }
}
