import { setTimeout as delay } from "node:timers/promises";
import type { KmsNode, KmsNodeSpec } from "@keyfleet/crds/kms-node.ts";
import type { Log } from "../config/source.ts";
import { applyMeshConfiguration } from "../postgres/mesh-configuration.ts";
import { startReplication } from "../replication/replication.ts";
import type { HandoverAnswer, MeshTls, Replication, ReplicationStatus } from "../replication/types.ts";
import type { NodeStore } from "../store/types.ts";
import { fieldsLog } from "./database.ts";
import type { ReplicationFacts } from "./facts.ts";
import { identityOfNode } from "./identity.ts";
import { RollingLow } from "./rolling-low.ts";

const handOnLookMs = 50;

export interface MeshOptions {
  readonly runFolder: string;
  readonly port: number;
  readonly log: Log;
  readonly nowMs: () => number;
  readonly wrapFor: (identity: string) => HandoverAnswer;
}

/** This node's links with its peers: PostgreSQL's door for them, and the exchange of the log. */
export class Mesh {
  readonly #options: MeshOptions;
  readonly #roundTrips = new RollingLow();
  #replication: Replication | undefined;
  #startedAtMs = 0;
  #doorFor = "";
  #peersFor = "";
  #opening = false;

  constructor(options: MeshOptions) {
    this.#options = options;
  }

  get facts(): ReplicationFacts {
    const status = this.#replication?.status();
    if (status === undefined) return { peers: [], caughtUp: false, runningMs: undefined };
    const peers = status.peers.map(({ name, connected, roundTripMs, lagOperations, tlsGroup, ownLogRefused }) => ({
      name,
      connected,
      ...(roundTripMs === undefined
        ? {}
        : { roundTripMs: this.#roundTrips.take(name, roundTripMs, this.#options.nowMs()) }),
      ...(lagOperations === undefined ? {} : { lagOperations }),
      ...(tlsGroup === undefined ? {} : { tlsGroup }),
      ...(ownLogRefused === undefined ? {} : { refused: ownLogRefused }),
    }));
    const runningMs = this.#options.nowMs() - this.#startedAtMs;
    const { caughtUp, forked, ownLogRefused } = status;
    const troubles = {
      ...snapshotOf(status),
      ...(forked === undefined ? {} : { forked }),
      ...(ownLogRefused === undefined ? {} : { ownLogRefused }),
    };
    const outOfStep = status.sites.filter(({ inStep }) => !inStep).map(({ site }) => site);
    return { peers, caughtUp, runningMs, outOfStep, ...troubles };
  }

  get status(): ReplicationStatus | undefined {
    return this.#replication?.status();
  }

  /** PostgreSQL restarted: what was given to it is given again. */
  forgetDoor(): void {
    this.#doorFor = "";
  }

  /** Lets these members in at 5432; does nothing while they are in. Failures are tried again at the next call. */
  async openDoor(tls: MeshTls, members: KmsNodeSpec["members"]): Promise<void> {
    const wanted = JSON.stringify([members, tls.certificateChainPem, tls.trustBundlePem]);
    if (wanted === this.#doorFor || this.#opening) return;
    this.#opening = true;
    try {
      const directory = `${this.#options.runFolder}/postgres/conf`;
      const socketDirectory = `${this.#options.runFolder}/postgres`;
      await applyMeshConfiguration({
        directory,
        socketDirectory,
        port: this.#options.port,
        tls,
        members,
      });
      this.#doorFor = wanted;
    } catch (error) {
      this.#options.log("warn", "cannot configure the mesh's door", { problem: (error as Error).message });
    } finally {
      this.#opening = false;
    }
  }

  /** Starts the exchange, or brings it in line with the spec. */
  exchange(node: KmsNode, tls: MeshTls, store: NodeStore): void {
    const wanted = JSON.stringify([
      node.spec.members,
      node.spec.durability,
      tls.certificateChainPem,
      tls.trustBundlePem,
    ]);
    if (this.#replication === undefined) this.#start(node, tls, store);
    else if (wanted !== this.#peersFor) {
      this.#replication.updatePeers(node.spec.members, tls);
      this.#replication.updateDurability(node.spec.durability);
    }
    this.#peersFor = wanted;
  }

  /** Resolves when the peers to which there is a link hold this node's log up to `head`, or after `mostMs`. */
  async handOn(head: number, mostMs: number): Promise<void> {
    const untilMs = this.#options.nowMs() + mostMs;
    const behind = () =>
      (this.status?.peers ?? []).some(({ connected, acknowledged }) => connected && (acknowledged ?? 0) < head);
    while (behind() && this.#options.nowMs() < untilMs) await delay(handOnLookMs);
  }

  async stop(): Promise<void> {
    const replication = this.#replication;
    this.#replication = undefined;
    await replication?.stop();
  }

  #start(node: KmsNode, tls: MeshTls, store: NodeStore): void {
    const { log, nowMs, wrapFor } = this.#options;
    this.#startedAtMs = nowMs();
    this.#replication = startReplication({
      store,
      self: { name: node.metadata.name, site: node.spec.site, identity: identityOfNode(node) },
      members: node.spec.members,
      tls,
      durability: node.spec.durability,
      wrapFor: async (identity) => wrapFor(identity),
      onSiteStep: (step) => log(step.inStep ? "info" : "warn", "durability", { ...step }),
      nowMs,
      log: fieldsLog(log, "replication"),
    });
  }
}

/** What the node says while it takes in a snapshot, or is to begin with one. */
function snapshotOf({ snapshot }: ReplicationStatus): Pick<ReplicationFacts, "importing" | "needing"> {
  if (snapshot === undefined) return {};
  const { peer, problem, incomplete } = snapshot;
  const taking = `taking a snapshot from ${peer}, since logs no longer reach back far enough`;
  const said = peer === undefined ? (problem ?? "waits for a peer to take a snapshot from") : taking;
  return incomplete ? { importing: said } : { needing: said };
}
