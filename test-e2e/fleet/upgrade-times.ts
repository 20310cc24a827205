import type { Place } from "./places.ts";
import { type Sight, watchVersions } from "./watch.ts";

/** What an upgrade of nodes one after the other takes, in milliseconds. */
export interface UpgradeTimes {
  /** For each node: from the moment that it is told its version until it serves with it. */
  readonly nodesMs: readonly number[];
  /** Between two nodes: from the moment that one serves until the next is told, soaking left out. */
  readonly betweenMs: readonly number[];
}

/** A watch of an upgrade. */
export interface UpgradeWatch {
  /** The times so far. */
  times(): UpgradeTimes;
  /** Ends it. */
  stop(): void;
}

/** Watches the nodes of all sites while they are upgraded to a version. */
export function watchUpgrade(place: Place, version: string, soakSeconds: number): UpgradeWatch {
  const watches = place.sites.names.map((site) => watchVersions(place, site));
  return {
    times: () => {
      const sights = watches.flatMap(({ seen }) => seen).sort((a, b) => a.atMs - b.atMs);
      return timesOf(sights, version, soakSeconds * 1000);
    },
    stop: () => {
      for (const watch of watches) watch.stop();
    },
  };
}

function timesOf(sights: readonly Sight[], version: string, soakMs: number): UpgradeTimes {
  const told = firsts(sights, new RegExp(`^(\\S+) ${version} `));
  const serves = firsts(sights, new RegExp(`^(\\S+) ${version} ${version} True$`));
  // Sights are in order of time, so the nodes are in that in which they were told.
  const nodes = [...told].flatMap(([name, toldMs]) => {
    const servesMs = serves.get(name);
    return servesMs === undefined ? [] : [{ toldMs, servesMs }];
  });
  return {
    nodesMs: nodes.map(({ toldMs, servesMs }) => servesMs - toldMs),
    betweenMs: nodes.slice(1).map(({ toldMs }, at) => toldMs - (nodes[at]?.servesMs ?? toldMs) - soakMs),
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
