import { setTimeout as delay } from "node:timers/promises";
import type { KmsCluster, KmsNode, KubernetesObject } from "../../operator/ports/types.ts";
import type { FakeCluster } from "../../operator/testing/fake-cluster.ts";
import type { Simulation } from "../../operator/testing/simulation.ts";
import { PlayedSite } from "./played-site.ts";
import { type Running, runOperators, writesOf } from "./running.ts";

const version = "0.2.0";
const soakSeconds = 1;
/** A node serves so long after its pod was made: what is its own. */
const recoveryMs = 1_000;
const playMs = 10;
const calmMs = 3_000;
const longestMs = 10 * 60_000;

/** What the operators took, in milliseconds, the nodes' own time and the soak left out. */
export interface Upgrade {
  readonly nodes: number;
  /** Of each node: from being told its version until its pod is made anew. */
  readonly restartMs: readonly number[];
  /** Between two nodes: from the moment that one serves until the next is told. */
  readonly betweenMs: readonly number[];
  /** From the edit of the document until the first node was told. */
  readonly firstToldMs: number;
}

/** In real time: the operators of three sites upgrade a fleet whose nodes take a known time to come back. */
export async function upgrade(fleet: Simulation): Promise<Upgrade> {
  const own = fleet.sites.map(({ name }) => name);
  const running = await runOperators({ fleet, own });
  const sites = own.map((site) => {
    return { site, names: namesIn(fleet, site), played: new PlayedSite(running.api(site), recoveryMs) };
  });
  const told = new Map<string, number>();
  const stopped = new AbortController();
  const playing = (async () => {
    while (!stopped.signal.aborted) {
      for (const { played, names } of sites) played.play(names);
      for (const one of sites) noteTold(running.api(one.site), one.names, told);
      await delay(playMs);
    }
  })();
  const whilePlayed = <T>(work: Promise<T>) => Promise.race([work, playing.then(() => work)]);
  try {
    await whilePlayed(atRest(running));
    const editedMs = performance.now();
    edit(running, own[0] ?? "");
    const servesAtMs = (name: string) => sites.find(({ names }) => names.includes(name))?.played.servesAtMs(name) ?? 0;
    const nodes = sites.flatMap(({ names }) => names).length;
    await whilePlayed(until(() => told.size === nodes && [...told].every(([name, ms]) => servesAtMs(name) > ms)));
    return { nodes, ...timesOf(told, servesAtMs), firstToldMs: Math.min(...told.values()) - editedMs };
  } finally {
    stopped.abort();
    await playing.catch(() => {});
    await running.stop();
  }
}

function timesOf(told: ReadonlyMap<string, number>, servesAtMs: (name: string) => number) {
  const inOrder = [...told].sort(([, a], [, b]) => a - b);
  const serves = inOrder.map(([name]) => servesAtMs(name));
  return {
    restartMs: inOrder.map(([, toldMs], at) => (serves[at] ?? 0) - recoveryMs - toldMs),
    betweenMs: inOrder.slice(1).map(([, toldMs], at) => toldMs - (serves[at] ?? 0) - soakSeconds * 1_000),
  };
}

/** As addFleet names them. */
function namesIn(fleet: Simulation, site: string): readonly string[] {
  const nodes = fleet.sites.find(({ name }) => name === site)?.nodes.keys() ?? [];
  return [...nodes].map((name) => `${name}-0`);
}

function noteTold(api: FakeCluster, names: readonly string[], told: Map<string, number>): void {
  for (const name of names) {
    const node = api.peek("KmsNode", name) as unknown as KmsNode | undefined;
    if (node?.spec.version === version && !told.has(name)) told.set(name, performance.now());
  }
}

function edit({ api, cluster }: Running, site: string): void {
  const known = api(site).peek("KmsCluster", cluster) as unknown as KmsCluster;
  const spec = { ...known.spec, version, upgrade: { ...known.spec.upgrade, soakSeconds } };
  api(site).put({ ...known, spec } as unknown as KubernetesObject);
}

/** Every site says that nothing is left to do, and nothing is written: operators do much with a fleet of other names at first. */
async function atRest({ apis, cluster }: Running): Promise<void> {
  const writes = () => [...apis.values()].reduce((sum, api) => sum + writesOf(api), 0);
  const isQuiesced = (api: FakeCluster) => {
    const { status } = api.peek("KmsCluster", cluster) as unknown as KmsCluster;
    return status?.conditions?.some(({ type, status: is }) => type === "Quiesced" && is === "True") ?? false;
  };
  let [last, sinceMs] = [0, performance.now()];
  await until(() => {
    const isCalm = writes() === last && last > 0 && [...apis.values()].every(isQuiesced);
    if (!isCalm) [last, sinceMs] = [writes(), performance.now()];
    return performance.now() - sinceMs > calmMs;
  });
}

async function until(holds: () => boolean): Promise<void> {
  const beganMs = performance.now();
  while (!holds()) {
    if (performance.now() - beganMs > longestMs) throw new Error("the operators do not come to an end");
    await delay(playMs);
  }
}
