import { setImmediate as turn } from "node:timers/promises";
import { FakeClock } from "../../operator/testing/fake-clock.ts";
import type { Simulation } from "../../operator/testing/simulation.ts";
import { look } from "./memory.ts";
import { type Running, runOperators, writesOf } from "./running.ts";

const own = "dc1";
const hourMs = 3_600_000;
/** Turns of the event loop in which nothing was asked: whatever is on its way over loopback has arrived in fewer. */
const calmTurns = 12;
/** Virtual: in which nothing was written, before the hour begins. */
const calmMs = 120_000;
const patienceMs = hourMs;

/** What one leading operator asks in an hour in which nothing happens. */
export interface IdleHour {
  readonly requests: number;
  /** By verb, with what is asked for: "get KmsCluster" are probes. */
  readonly byVerb: Readonly<Record<string, number>>;
  /** Of the site's own API server, and of each of the others on average. */
  readonly ownSite: number;
  readonly otherSite: number;
  readonly writes: number;
  readonly leaseWrites: number;
}

/** Virtual time, over HTTPS: its probes, watches, leading and passes by their own timers. */
export async function idleHour(fleet: Simulation): Promise<IdleHour> {
  const clock = new FakeClock(Date.now());
  const running = await runOperators({ fleet, own: [own], clock });
  try {
    const pass = (ms: number) => clock.advance(ms, () => quiet(running));
    await untilCalm(running, pass);
    const [before, writes, all] = [new Map(running.served.asked), writesIn(running), allWritesIn(running)];
    await pass(hourMs);
    const asked = [...running.served.asked].map(([what, count]) => [what, count - (before.get(what) ?? 0)] as const);
    const wrote = writesIn(running) - writes;
    return { ...summed(asked), writes: wrote, leaseWrites: allWritesIn(running) - all - wrote };
  } finally {
    await running.stop();
  }
}

async function quiet({ served }: Running): Promise<void> {
  const count = () => [...served.asked.values()].reduce((sum, one) => sum + one, 0);
  for (let [calm, last] = [0, count()]; calm < calmTurns; last = count()) {
    await turn();
    calm = served.inFlight() === 0 && count() === last ? calm + 1 : 0;
  }
}

async function untilCalm(running: Running, pass: (ms: number) => Promise<void>): Promise<void> {
  for (let [waitedMs, quietMs, last] = [0, 0, -1]; quietMs < calmMs; waitedMs += 1_000) {
    if (waitedMs > patienceMs) throw new Error("the operator does not come to rest");
    await look(running.api(own));
    await pass(1_000);
    quietMs = writesIn(running) === last ? quietMs + 1_000 : 0;
    last = writesIn(running);
  }
}

function writesIn({ apis }: Running): number {
  return [...apis.values()].reduce((sum, api) => sum + writesOf(api), 0);
}

function allWritesIn({ apis }: Running): number {
  return [...apis.values()].reduce((sum, api) => sum + api.writes.length, 0);
}

function summed(asked: readonly (readonly [string, number])[]) {
  const byVerb: Record<string, number> = {};
  const bySite: Record<string, number> = {};
  for (const [what, count] of asked) {
    const [, verb = "", kind = "", site = ""] = /^(\S+) (\S+) of (\S+)$/.exec(what) ?? [];
    const of = verb === "watch" ? verb : `${verb} ${kind}`;
    if (count > 0) byVerb[of] = (byVerb[of] ?? 0) + count;
    bySite[site] = (bySite[site] ?? 0) + count;
  }
  const { [own]: ownSite = 0, ...others } = bySite;
  const elsewhere = Object.values(others).reduce((sum, one) => sum + one, 0);
  const otherSite = Math.round(elsewhere / Math.max(Object.keys(others).length, 1));
  return { requests: ownSite + elsewhere, byVerb, ownSite, otherSite };
}
