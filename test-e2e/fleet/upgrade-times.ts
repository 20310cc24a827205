import type { Place } from "./places.ts";
import { type Sight, watchVersions } from "./watch.ts";

/** What an upgrade of nodes one after the other takes, in milliseconds. */
export interface UpgradeTimes {
  /** For each node: from the moment that it is told its version until it serves with it. */
  readonly nodesMs: readonly number[];
  /** Between two nodes: from the moment that one serves until the next is told, soaking left out. */
  readonly betweenMs: readonly number[];
}

/** Watches the nodes of all sites while they are upgraded to a version; answers with the times so far, then ends. */
export function timeUpgrades(place: Place, version: string, soakSeconds: number): () => UpgradeTimes {
  const watches = place.sites.names.map((site) => watchVersions(place, site));
  return () => {
    for (const watch of watches) watch.stop();
    const sights = watches.flatMap(({ seen }) => seen).sort((a, b) => a.atMs - b.atMs);
    return timesOf(sights, version, soakSeconds * 1000);
  };
}

function timesOf(sights: readonly Sight[], version: string, soakMs: number): UpgradeTimes {
  const told = firsts(sights, new RegExp(`^(\\S+) ${version} `));
  const serves = firsts(sights, new RegExp(`^(\\S+) ${version} ${version} True$`));
  const order = [...told].sort(([, a], [, b]) => a - b).filter(([name]) => serves.has(name));
  const since = (name: string, fromMs: number) => (serves.get(name) ?? 0) - fromMs;
  return {
    nodesMs: order.map(([name, atMs]) => since(name, atMs)),
    betweenMs: order.slice(1).map(([, atMs], at) => -since(order[at]?.[0] ?? "", atMs) - soakMs),
  };
}

/** When each name was first seen in a line that fits. */
function firsts(sights: readonly Sight[], line: RegExp): Map<string, number> {
  const found = new Map<string, number>();
  for (const { atMs, line: text } of sights) {
    const name = line.exec(text)?.[1];
    if (name !== undefined && !found.has(name)) found.set(name, atMs);
  }
  return found;
}
