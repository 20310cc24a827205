import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { OperationMetrics } from "../kmip/batch-item.ts";
import type { Facts } from "../membership/facts.ts";
import type { PeerStatus, ReplicationStatus } from "../replication/types.ts";
import type { StoreStatus, Vector } from "../store/types.ts";

/** What is measured at the moment of a scrape. */
export interface Measured {
  readonly facts: Facts;
  readonly replication: ReplicationStatus | undefined;
  readonly store: { readonly vector: Vector; readonly status: StoreStatus } | undefined;
  readonly kmipConnections: number;
}

/** Every label has a known set of values: members, origins of the log, sites, servers of the settings, operations of KMIP. */
const maxOrigins = 64;
const maxOperations = 64;

export interface Metrics {
  readonly registry: Registry;
  /** Counts and times KMIP operations. */
  readonly operations: OperationMetrics;
}

/** The node's metrics; `measure` is called at each scrape. */
export function nodeMetrics(version: string, measure: () => Measured): Metrics {
  const registry = new Registry();
  // The first metric of the registry is asked first, and fills all others for this scrape.
  new Gauge({
    name: "keyfleet_serving",
    help: "1 while clients are served",
    registers: [registry],
    collect() {
      const measured = measure();
      this.set(measured.facts.serving ? 1 : 0);
      fillGauges(fill, measured);
    },
  });
  const fill = gauges(registry);
  fill.build.set({ version, node: process.version }, 1);
  return { registry, operations: operationMetrics(registry) };
}

function operationMetrics(registry: Registry): OperationMetrics {
  const registers = [registry];
  const count = new Counter({
    name: "keyfleet_kmip_operations_total",
    help: "KMIP operations answered; result is success or the result reason",
    labelNames: ["operation", "result"],
    registers,
  });
  const time = new Histogram({
    name: "keyfleet_kmip_operation_seconds",
    help: "Time from a decoded request to its answer",
    labelNames: ["operation"],
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers,
  });
  // Finding a counter by its labels costs more than counting: each is found once.
  const kept = new Map<string, { timer: Histogram.Internal<"operation">; counters: Map<string, Counter.Internal> }>();
  const keptFor = (operation: string) => {
    const made = { timer: time.labels({ operation }), counters: new Map() };
    kept.set(operation, made);
    return made;
  };
  return {
    operation: (name, result, seconds) => {
      const operation = kept.has(name) || kept.size < maxOperations ? name : "other";
      const { timer, counters } = kept.get(operation) ?? keptFor(operation);
      const counter = counters.get(result) ?? count.labels({ operation, result });
      counters.set(result, counter);
      counter.inc();
      timer.observe(seconds);
    },
  };
}

type Gauges = ReturnType<typeof gauges>;

function gauges(registry: Registry) {
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: `keyfleet_${name}`, help, labelNames, registers: [registry] });
  return {
    build: gauge("build_info", "Version of this software and of Node.js", ["version", "node"]),
    started: gauge("process_start_time_seconds", "When this process started, seconds since 1970"),
    memory: gauge("process_resident_memory_bytes", "Resident memory of the key server's process"),
    connections: gauge("kmip_connections", "Open KMIP connections"),
    hsm: gauge("hsm_ready", "1 while this node's HSM is usable"),
    database: gauge("database_ready", "1 while this node's PostgreSQL can be written"),
    certificate: gauge("certificate_not_after_seconds", "When this node's certificate ends, seconds since 1970"),
    clock: gauge("clock_offset_milliseconds", "Offset of this node's clock to an NTP server", ["server"]),
    clockReachable: gauge("clock_server_reachable", "1 while an NTP server answers", ["server"]),
    sequence: gauge("log_sequence", "Last sequence of an origin's log that is held here", ["origin"]),
    queued: gauge("store_queued_operations", "Writes that wait for a group commit"),
    unapplied: gauge(
      "store_unapplied_operations",
      "Operations of a kind this version does not know; kept, not applied",
    ),
    damaged: gauge("store_damaged_objects", "Objects found changed in the database; they are not served"),
    damagedPages: gauge("store_damaged_pages", "1 once PostgreSQL found pages of its own files damaged"),
    audited: gauge("store_audited_seconds", "When the whole database was last looked through, seconds since 1970"),
    distrusted: gauge(
      "store_distrusted",
      "1 while the database as a whole is not as it was written: nothing is served",
    ),
    writable: gauge("store_writable", "1 while writes are taken: PostgreSQL answers and its volume has room"),
    slowestCommit: gauge("store_slowest_commit_milliseconds", "The slowest transaction of the last minute"),
    clockAhead: gauge("log_clock_ahead_milliseconds", "How far the log's clock runs ahead of this machine's"),
    connected: gauge("peer_connected", "1 while this node exchanges the log with a peer", ["peer"]),
    roundTrip: gauge("peer_round_trip_milliseconds", "Round trip to a peer", ["peer"]),
    lag: gauge("peer_lag_operations", "Operations that a peer holds and this node does not", ["peer"]),
    group: gauge("peer_tls_group", "1 for the key exchange group that the link to a peer uses", ["peer", "group"]),
    snapshot: gauge("snapshot_objects", "Objects taken in by the snapshot under way; 0 while there is none"),
    away: gauge("peer_away", "1 for a member that was silent for so long that logs are pruned without it", ["peer"]),
    inStep: gauge("durability_site_in_step", "1 while a site acknowledges this node's writes", ["site"]),
    waiting: gauge("durability_writes_waiting", "Writes that wait for other sites' acknowledgement"),
  };
}

function fillGauges(fill: Gauges, { facts, replication, store, kmipConnections }: Measured): void {
  fill.started.set(Math.round(Date.now() / 1000 - process.uptime()));
  fill.memory.set(process.memoryUsage.rss());
  fill.connections.set(kmipConnections);
  fill.hsm.set(facts.hsm.ready ? 1 : 0);
  fill.database.set(facts.database.ready ? 1 : 0);
  if (facts.certificate.notAfter !== undefined) fill.certificate.set(Date.parse(facts.certificate.notAfter) / 1000);
  fillClock(fill, facts);
  fillStore(fill, store);
  fillPeers(fill, replication);
}

function fillClock(fill: Gauges, facts: Facts): void {
  fill.clock.reset();
  fill.clockReachable.reset();
  for (const server of facts.time.servers ?? []) {
    fill.clockReachable.set({ server: server.address }, server.reachable ? 1 : 0);
    if (server.offsetMs !== undefined) fill.clock.set({ server: server.address }, server.offsetMs);
  }
}

function fillStore(fill: Gauges, store: Measured["store"]): void {
  fill.sequence.reset();
  if (store === undefined) return;
  // By incarnation, not by name: a name may come back with a new log, and equal vectors are how equal nodes are told.
  for (const [origin, sequence] of [...store.vector].slice(0, maxOrigins)) fill.sequence.set({ origin }, sequence);
  fill.queued.set(store.status.queuedOperations);
  fill.unapplied.set(store.status.unappliedOperations);
  fill.writable.set(store.status.available && store.status.writesRefused === undefined ? 1 : 0);
  fill.slowestCommit.set(store.status.slowestCommitMs);
  fill.clockAhead.set(store.status.clockAheadMs);
  fill.damaged.set(store.status.damagedObjects);
  fill.damagedPages.set(store.status.damagedPages ? 1 : 0);
  fill.audited.set(Math.round((store.status.auditedMs ?? 0) / 1000));
  fill.distrusted.set(store.status.damage === undefined ? 0 : 1);
}

function fillPeers(fill: Gauges, replication: ReplicationStatus | undefined): void {
  fill.snapshot.set(replication?.snapshot?.objects ?? 0);
  fill.away.reset();
  for (const peer of replication?.away ?? []) fill.away.set({ peer }, 1);
  for (const gauge of [fill.connected, fill.roundTrip, fill.lag, fill.group, fill.inStep]) gauge.reset();
  fill.waiting.set(replication?.writesWaiting ?? 0);
  for (const { site, inStep } of replication?.sites ?? []) fill.inStep.set({ site }, inStep ? 1 : 0);
  for (const peer of replication?.peers ?? []) fillPeer(fill, peer);
}

function fillPeer(fill: Gauges, { name: peer, connected, roundTripMs, lagOperations, tlsGroup }: PeerStatus): void {
  fill.connected.set({ peer }, connected ? 1 : 0);
  if (roundTripMs !== undefined) fill.roundTrip.set({ peer }, roundTripMs);
  if (lagOperations !== undefined) fill.lag.set({ peer }, lagOperations);
  if (tlsGroup !== undefined) fill.group.set({ peer, group: tlsGroup }, 1);
}
