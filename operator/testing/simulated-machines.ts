import { foreign, isForeign, readiness, type Volume } from "./simulated-node.ts";
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
  const sickUntilMs = nowMs + shortestMs + random() * (longestMs - shortestMs);
  const isSick = nowMs < (volume.sickUntilMs ?? 0);
  Object.assign(volume, { sickUntilMs, sickSinceMs: isSick ? volume.sickSinceMs : nowMs });
}

/** The clock of a machine is off for a while. */
export function clockGoesOff(volume: Volume, nowMs: number, random: () => number): void {
  const offUntilMs = nowMs + shortestMs + random() * (longestMs - shortestMs);
  const isOff = nowMs < (volume.offUntilMs ?? 0);
  Object.assign(volume, { offUntilMs, offSinceMs: isOff ? volume.offSinceMs : nowMs });
}

/** Somebody gives a node that waits the volume of a node of another fleet. */
export function getsForeignVolume(volume: Volume, nowMs: number): void {
  if (volume.clusterId === undefined && volume.holds.size === 0) volume.clusterId = `${foreign}${nowMs}`;
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

/** All machines run and all HSMs are there; who has the volume of another fleet gets an empty one. */
export function mendMachines(site: SimulatedSite): void {
  for (const [name, volume] of site.volumes) {
    Object.assign(volume, { diedAtMs: undefined, backAtMs: undefined, sickUntilMs: 0, offUntilMs: 0 });
    if (isForeign(volume.clusterId)) site.volumes.delete(name);
  }
}

function podIsNotReady(site: SimulatedSite, name: string): void {
  const pod = site.objects.get(`Pod/${name}-0`);
  const conditions = (pod?.status as { conditions?: { status: string }[] } | undefined)?.conditions;
  if (pod === undefined || conditions?.[0]?.status === "False") return;
  site.objects.set(`Pod/${name}-0`, { ...pod, status: readiness(site, "False") });
}
