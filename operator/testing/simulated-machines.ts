import { readiness, type Volume } from "./simulated-node.ts";
import type { SimulatedSite } from "./simulated-site.ts";

/** So long Kubernetes takes a pod on a dead machine for ready. */
const noticedAfterMs = 40_000;
const [shortestMs, longestMs] = [20_000, 120_000];

/** The machine of a node dies: nothing on it says so, only its peers have no link to it any more. */
export function machineDies(volume: Volume, nowMs: number, random: () => number): void {
  const backAtMs = nowMs + shortestMs + random() * (longestMs - shortestMs);
  Object.assign(volume, { serving: false, running: false, diedAtMs: nowMs, backAtMs });
}

/** The HSM of a node is away for a while. */
export function hsmGoes(volume: Volume, nowMs: number, random: () => number): void {
  volume.sickUntilMs = nowMs + shortestMs + random() * (longestMs - shortestMs);
}

/** Whether the machine of a node runs. */
export function machineRuns(volume: Volume | undefined): boolean {
  return volume?.backAtMs === undefined;
}

/** Time passes: machines come back, and Kubernetes notices those that have died. */
export function watchMachines(site: SimulatedSite, nowMs: number): void {
  for (const [name, volume] of site.volumes) {
    if (volume.backAtMs === undefined) continue;
    if (nowMs >= volume.backAtMs) Object.assign(volume, { diedAtMs: undefined, backAtMs: undefined });
    else if (nowMs - (volume.diedAtMs ?? nowMs) >= noticedAfterMs) podIsNotReady(site, name);
  }
}

/** All machines run and all HSMs are there. */
export function mendMachines(site: SimulatedSite): void {
  for (const volume of site.volumes.values())
    Object.assign(volume, { diedAtMs: undefined, backAtMs: undefined, sickUntilMs: 0 });
}

function podIsNotReady(site: SimulatedSite, name: string): void {
  const pod = site.objects.get(`Pod/${name}-0`);
  const conditions = (pod?.status as { conditions?: { status: string }[] } | undefined)?.conditions;
  if (pod === undefined || conditions?.[0]?.status === "False") return;
  site.objects.set(`Pod/${name}-0`, { ...pod, status: readiness(site, "False") });
}
