import type { KmsNodeStatus } from "@keyfleet/crds/kms-node.ts";
import { conditions } from "./conditions.ts";
import { type Facts, type PeerFacts, worstOffsetMs } from "./facts.ts";

/** What of the status does not follow from the facts that decide. */
export interface Particulars {
  readonly startedAt: string;
  readonly incarnation?: string;
  readonly certificateRequest?: string;
  readonly joinPublicKey?: string;
  readonly interfaces: NonNullable<KmsNodeStatus["interfaces"]>;
  readonly diskUsedPercent?: number;
}

/**
 * The status to report. Measured values are rounded to steps and keep the step last reported until they leave it
 * clearly, so that a settled node writes nothing; the exact values are metrics.
 */
export function nodeStatus(
  facts: Facts,
  particulars: Particulars,
  previous: KmsNodeStatus | undefined,
  now: string,
): KmsNodeStatus {
  const { startedAt, incarnation, certificateRequest, joinPublicKey, interfaces, diskUsedPercent } = particulars;
  const generation = facts.document?.metadata.generation;
  const { outOfStep = [] } = facts.replication;
  return withoutUndefined({
    observedGeneration: generation,
    version: facts.ownVersion,
    featureLevel: facts.document?.spec.featureLevel,
    startedAt,
    clusterId: facts.clusterId,
    incarnation,
    certificateRequest,
    certificateNotAfter: facts.certificate.notAfter,
    joinPublicKey,
    hsm: hsmStatus(facts),
    time: timeStatus(facts, previous),
    departures: facts.departures.length === 0 ? undefined : facts.departures,
    peers: facts.replication.peers.map((peer) => peerStatus(peer, previous)),
    sitesOutOfStep: outOfStep.length === 0 ? undefined : [...outOfStep].sort(),
    interfaces: interfaces.filter(({ name }) => facts.serving || name === "status").map((each) => ({ ...each })),
    disk:
      diskUsedPercent === undefined
        ? undefined
        : { usedPercent: steady(diskUsedPercent, diskSteps, previous?.disk?.usedPercent) },
    conditions: conditions(facts, previous?.conditions ?? [], now),
  });
}

const offsetStepsMs = [10, 50, 100, 250, 500, 1_000, 2_000, 5_000, 10_000, 60_000, 3_600_000];
const roundTripStepsMs = [10, 50, 100, 200, 500, 1_000, 5_000];
const diskSteps = [50, 70, 80, 85, 90, 95, 100];
const lagSteps = [0, 1_000, 10_000, 100_000, 1_000_000];

/** Rounds up to a step; the step of before stays while the value is not above it nor below half of the step under it. */
export function steady(value: number, steps: readonly number[], before: number | undefined): number {
  const step = steps.find((candidate) => value <= candidate) ?? steps.at(-1) ?? value;
  if (before === undefined || value > before) return step;
  const under = steps[steps.indexOf(before) - 1];
  return under === undefined || value > under / 2 ? before : step;
}

function hsmStatus({ hsm }: Facts): KmsNodeStatus["hsm"] {
  const { tokenLabel, tokenSerial, keyCheckValue } = hsm;
  return withoutUndefined({ tokenLabel, tokenSerial, keyCheckValue });
}

function timeStatus(facts: Facts, previous: KmsNodeStatus | undefined): KmsNodeStatus["time"] {
  const worst = worstOffsetMs(facts.time);
  const before = previous?.time;
  const servers = (facts.time.servers ?? []).map((server) => {
    const last = before?.servers.find((candidate) => candidate.address === server.address);
    const offsetMs =
      server.offsetMs === undefined ? undefined : steady(Math.abs(server.offsetMs), offsetStepsMs, last?.offsetMs);
    return withoutUndefined({
      address: server.address,
      reachable: server.reachable,
      stratum: server.stratum,
      offsetMs,
    });
  });
  const worstOffset = worst === undefined ? undefined : steady(worst, offsetStepsMs, before?.worstOffsetMs);
  return withoutUndefined({ worstOffsetMs: worstOffset, servers });
}

function peerStatus(peer: PeerFacts, previous: KmsNodeStatus | undefined): NonNullable<KmsNodeStatus["peers"]>[number] {
  const before = previous?.peers?.find((candidate) => candidate.name === peer.name);
  const { name, connected, tlsGroup, roundTripMs, lagOperations } = peer;
  return withoutUndefined({
    name,
    connected,
    tlsGroup,
    roundTripMs: roundTripMs === undefined ? undefined : steady(roundTripMs, roundTripStepsMs, before?.roundTripMs),
    // Under load some operations are always on their way: only a lag that people should see is shown.
    lagOperations: lagOperations === undefined ? undefined : steadyLag(lagOperations, before?.lagOperations),
  });
}

function steadyLag(lag: number, before: number | undefined): number {
  return lag < (lagSteps[1] ?? 0) ? 0 : steady(lag, lagSteps, before);
}

type Defined<Value> = { [Key in keyof Value]: Exclude<Value[Key], undefined> };

function withoutUndefined<Value extends object>(value: Value): Defined<Value> {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as Defined<Value>;
}
