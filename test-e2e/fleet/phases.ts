import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { KmsNode } from "@keyfleet/crds/kms-node.ts";
import { killAtOnce } from "./container-processes.ts";
import { leaderAt, operatorProcess } from "./operators.ts";
import { cluster, namespace, type Place } from "./places.ts";

interface Seen {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly annotations?: Record<string, string>;
    deletionTimestamp?: string;
  };
  readonly spec?: { readonly holderIdentity?: string };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

/** How long between two looks: a look costs three starts of kubectl, and the fleet needs the processors too. */
const betweenLooksMs = 250;

/**
 * Works on a fleet while the leading operators of all sites are killed -9 as soon as a phase is seen that was not seen
 * before, at most `most` times; answers with these phases when `done` says so and the last of them was struck too.
 * Phases that pass between two looks are struck together. Their pods are deleted with them, because Kubernetes would
 * wait longer each time before it starts a container again.
 */
export async function killAtPhases(
  place: Place,
  options: { about: RegExp; most: number; done: () => Promise<boolean>; deadlineMs: number },
): Promise<string[]> {
  const end = performance.now() + options.deadlineMs;
  const known = new Set(await phasesNow(place));
  const struck: string[][] = [];
  for (;;) {
    const done = await options.done(); // asked before the look: what it rests on is then looked at
    const fresh = (await phasesNow(place)).filter((phase) => !known.has(phase));
    for (const phase of fresh) known.add(phase);
    const wanted = fresh.filter((phase) => options.about.test(phase));
    if (wanted.length > 0 && struck.length < options.most) {
      struck.push(wanted);
      await Promise.all(place.sites.names.map((site) => killLeader(place, site)));
    } else if (done) return struck.flat();
    if (performance.now() > end)
      throw new Error(`not done in ${options.deadlineMs / 1000} s; seen: ${struck.flat().join("; ")}`);
    await pause(betweenLooksMs);
  }
}

/** Fails unless each of some phases is among those struck. */
export function assertStruck(struck: readonly string[], ...phases: readonly RegExp[]): void {
  for (const phase of phases)
    assert.ok(
      struck.some((one) => phase.test(one)),
      `${phase} was not struck: ${struck}`,
    );
}

async function killLeader(place: Place, site: string): Promise<void> {
  const leader = await leaderAt(place, site);
  killAtOnce((await operatorProcess(place, leader)).pid);
  const words = ["delete", "pod", leader.name, "--force", "--grace-period=0", "--ignore-not-found"];
  await place.sites.kubectl(site, ["-n", namespace, ...words]);
}

/** How far everything is, in a sentence for each node and for the lock: "dc1-a is told Join", "lock: join dc1-a". */
async function phasesNow(place: Place): Promise<string[]> {
  const lists = await Promise.all(place.sites.names.map((site) => objectsAt(place, site)));
  return lists.flat().flatMap(phasesOf);
}

async function objectsAt(place: Place, site: string): Promise<Seen[]> {
  const words = ["-n", namespace, "get", "lease,kmsnode,pods", "-o", "json"];
  return (JSON.parse((await place.sites.kubectl(site, words)).stdout) as { items: Seen[] }).items;
}

function phasesOf(seen: Seen): string[] {
  const { name, annotations = {}, deletionTimestamp } = seen.metadata;
  switch (seen.kind) {
    case "Lease":
      if (name !== `keyfleet-${cluster}` || seen.spec?.holderIdentity === undefined) return [];
      return [`lock: ${annotations["keyfleet.io/operation"]} ${annotations["keyfleet.io/node"]}`];
    case "Pod":
      if (!name.endsWith("-0")) return [];
      return deletionTimestamp === undefined ? [] : [`${name.replace(/-0$/, "")} drains`];
    default:
      return nodePhases(seen as unknown as KmsNode);
  }
}

function nodePhases({ metadata, spec, status }: KmsNode): string[] {
  const out = spec.members.filter(({ standing }) => standing !== "Member" && standing !== "Joining");
  const serving = status?.conditions?.find(({ type }) => type === "Serving");
  return [
    `${metadata.name} is told ${spec.membership.action} at ${spec.version}`,
    ...(serving?.status === "True" ? [`${metadata.name} serves ${status?.version}`] : []),
    ...(spec.membership.action === "Leave" ? [`${metadata.name} says ${serving?.reason}`] : []),
    ...out.map((member) => `${member.name} is ${member.standing}`),
  ];
}
