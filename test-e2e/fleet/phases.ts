import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { KmsNode } from "@keyfleet/crds/kms-node.ts";
import { objectsAt } from "./api.ts";
import { killAtOnce } from "./container-processes.ts";
import { conditionOf } from "./fleet.ts";
import { leaderAt, operatorProcess } from "./operators.ts";
import { cluster, namespace, type Place } from "./places.ts";

interface Seen {
  readonly metadata: {
    readonly name: string;
    readonly annotations?: Record<string, string>;
    deletionTimestamp?: string;
  };
  readonly spec?: { readonly holderIdentity?: string };
}

/** How long between two looks: the fleet needs the processors too. */
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
  return (await Promise.all(place.sites.names.map((site) => phasesAt(place, site)))).flat();
}

async function phasesAt(place: Place, site: string): Promise<string[]> {
  const leases = await objectsAt<Seen>(place, site, "leases");
  const pods = await objectsAt<Seen>(place, site, "pods");
  const nodes = await objectsAt<KmsNode>(place, site, "kmsnodes");
  return [...leases.flatMap(lockPhases), ...nodes.flatMap(nodePhases), ...pods.flatMap(podPhases)];
}

function lockPhases({ metadata: { name, annotations = {} }, spec }: Seen): string[] {
  if (name !== `keyfleet-${cluster}` || spec?.holderIdentity === undefined) return [];
  return [`lock: ${annotations["keyfleet.io/operation"]} ${annotations["keyfleet.io/node"]}`];
}

function podPhases({ metadata: { name, deletionTimestamp } }: Seen): string[] {
  return name.endsWith("-0") && deletionTimestamp !== undefined ? [`${name.replace(/-0$/, "")} drains`] : [];
}

function nodePhases({ metadata, spec, status }: KmsNode): string[] {
  const out = spec.members.filter(({ standing }) => standing !== "Member" && standing !== "Joining");
  const serving = conditionOf(status, "Serving");
  return [
    `${metadata.name} is told ${spec.membership.action} at ${spec.version}`,
    ...(serving?.status === "True" ? [`${metadata.name} serves ${status?.version}`] : []),
    ...(spec.membership.action === "Leave" ? [`${metadata.name} says ${serving?.reason}`] : []),
    ...out.map((member) => `${member.name} is ${member.standing}`),
  ];
}
