import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

const outcomes = ["settled", "acted", "waiting", "blocked", "gone", "failed"] as const;

/** How a pass ends. */
export type PassOutcome = (typeof outcomes)[number];

/** What the operator counts; names are part of its public face (alerts are written on them). */
export interface Metrics {
  readonly passes: Counter<"cluster" | "outcome">;
  readonly passSeconds: Histogram<"cluster">;
  readonly apiCalls: Counter<"site" | "verb" | "code">;
  readonly events: Counter<"reason">;
  readonly registry: Registry;
}

/** The live values that are read when metrics are asked for. */
export interface MetricSources {
  /** Whether this process leads its site's operators. */
  leads(): boolean;
  queueDepth(): number;
  sites(): readonly {
    readonly site: string;
    readonly reachable: boolean;
    readonly ageMs: number | undefined;
    readonly expiresAtMs: number | undefined;
  }[];
  locks(): readonly { readonly cluster: string; readonly held: boolean }[];
}

/** A registry of its own: nothing is global, so that tests can run several operators in one process. */
export function operatorMetrics(sources: MetricSources): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  gauges(registry, sources);
  return {
    registry,
    passes: new Counter({
      name: "keyfleet_operator_passes_total",
      help: "Passes by how they ended.",
      labelNames: ["cluster", "outcome"],
      registers,
    }),
    passSeconds: new Histogram({
      name: "keyfleet_operator_pass_seconds",
      help: "Duration of a pass.",
      labelNames: ["cluster"],
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 30],
      registers,
    }),
    apiCalls: new Counter({
      name: "keyfleet_operator_api_calls_total",
      help: "Calls to API servers.",
      labelNames: ["site", "verb", "code"],
      registers,
    }),
    events: new Counter({
      name: "keyfleet_operator_events_total",
      help: "Events written.",
      labelNames: ["reason"],
      registers,
    }),
  };
}

/** Takes away the series of a fleet that is gone: those of all that ever were would only grow. */
export function forgetFleet({ passes, passSeconds }: Metrics, cluster: string): void {
  for (const outcome of outcomes) passes.remove({ cluster, outcome });
  passSeconds.remove({ cluster });
}

function gauges(registry: Registry, sources: MetricSources): void {
  const registers = [registry];
  new Gauge({
    name: "keyfleet_operator_queue_depth",
    help: "KmsClusters that wait for a pass or are in one.",
    registers,
    collect() {
      this.set(sources.queueDepth());
    },
  });
  new Gauge({
    name: "keyfleet_operator_leading",
    help: "Whether this process leads its site's operators; the others stand by.",
    registers,
    collect() {
      this.set(sources.leads() ? 1 : 0);
    },
  });
  new Gauge({
    name: "keyfleet_operator_lock_held",
    help: "Whether this site holds the fleet lock.",
    labelNames: ["cluster"],
    registers,
    collect() {
      this.reset();
      for (const { cluster, held } of sources.locks()) this.set({ cluster }, held ? 1 : 0);
    },
  });
  siteGauges(registers, sources);
}

function siteGauges(registers: Registry[], sources: MetricSources): void {
  const labelNames = ["site"] as const;
  new Gauge({
    name: "keyfleet_site_reachable",
    help: "Whether the API server of the site answers.",
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { site, reachable } of sources.sites()) this.set({ site }, reachable ? 1 : 0);
    },
  });
  new Gauge({
    name: "keyfleet_site_last_answer_age_seconds",
    help: "Time since the site last answered.",
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { site, ageMs } of sources.sites()) if (ageMs !== undefined) this.set({ site }, ageMs / 1000);
    },
  });
  new Gauge({
    name: "keyfleet_site_credentials_expire_seconds",
    help: "When the credentials for the site end (Unix time).",
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { site, expiresAtMs } of sources.sites())
        if (expiresAtMs !== undefined) this.set({ site }, expiresAtMs / 1000);
    },
  });
}
