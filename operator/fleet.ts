import { type OperatorCertificate, signOperatorCertificate } from "./act/operator-certificate.ts";
import { isCaOfSite } from "./act/site-ca.ts";
import type { OwnCa } from "./desired/ca-secrets.ts";
import { signingCa, trustedCas } from "./desired/own-ca.ts";
import { ExternalNodes } from "./external/external-nodes.ts";
import { observe } from "./observe/observe.ts";
import { References } from "./observe/references.ts";
import { decideSpec, isDeletionUncounted, type SpecDecision, specAnnotations } from "./observe/spec-agreement.ts";
import { isApiError } from "./ports/kubernetes-api.ts";
import { siteApi, type WriteSink } from "./ports/site-api.ts";
import { lacksFinalizer, writeSpecCopy } from "./ports/spec-copy.ts";
import type {
  Clock,
  KmsCluster,
  KmsNode,
  KubernetesObject,
  Log,
  NodeImage,
  Observed,
  PassResult,
  Reconcile,
  Refusal,
  SiteApi,
} from "./ports/types.ts";
import { hasEnded, noteEnd } from "./runtime/ended-fleets.ts";
import { EventBudget } from "./runtime/event-budget.ts";
import { LeaseFleetLock } from "./runtime/fleet-lock.ts";
import type { Informer } from "./runtime/informer.ts";
import type { LocalObjects } from "./runtime/local-objects.ts";
import type { Self } from "./runtime/lock-decision.ts";
import type { Sites } from "./runtime/sites.ts";
import { unseenStatus } from "./status/unseen.ts";

export interface FleetOptions {
  readonly cluster: string;
  readonly self: Self;
  readonly sites: Sites;
  readonly objects: LocalObjects;
  readonly nodeImage: NodeImage;
  readonly reconcile: Reconcile;
  readonly requeue: () => void;
  readonly countEvent: (reason: string) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a look after External nodes may take with all its calls. */
const externalCeilingMs = 10_000;

/** What this process keeps of one KmsCluster between passes, and its pass. Nothing of it needs to survive a restart. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #references: References;
  /** What the last pass saw; for the CAs of this site. */
  #observed: Observed | undefined;
  readonly #external: ExternalNodes;
  readonly #events: EventBudget;
  readonly lock: LeaseFleetLock;
  /** Why this site's API server did not take the specification of another site. */
  #refusal: string | undefined;

  constructor(options: FleetOptions) {
    this.#options = options;
    const { cluster, self, sites, requeue, clock } = options;
    this.#events = new EventBudget(clock);
    const log = options.log;
    this.#references = new References({ api: sites.local.api, onChange: requeue, clock, log });
    this.#external = new ExternalNodes({
      nodes: () => this.#externalNodes(),
      trust: () =>
        this.#observed === undefined
          ? ""
          : trustedCas(this.#observed)
              .map((pem) => `${pem}\n`)
              .join(""),
      ca: () => this.#signer()?.pem,
      certificate: () => this.#operatorCertificate(),
      write: (node) => this.#siteApi(AbortSignal.timeout(externalCeilingMs)).writeStatus(node),
      clock,
      log,
    });
    this.lock = new LeaseFleetLock({
      cluster,
      self,
      counting: () => this.#counting(),
      api: (site) => (site === self.site ? sites.local.api : sites.reachedApi(site)),
      onLost: requeue,
      clock,
      log,
    });
  }

  stop(): void {
    this.lock.stop();
    this.#external.stop();
    this.#references.stop();
  }

  /** Brings this site's copy up to date, then lets the pipeline work on it. */
  async pass(signal: AbortSignal): Promise<PassResult> {
    const { cluster, reconcile, nodeImage, clock, log } = this.#options;
    const api = this.#siteApi(signal);
    await this.#tryToDistributeSpec(api);
    if (this.#local() !== undefined) await this.lock.prepare();
    this.#external.tend();
    return await reconcile(cluster, {
      observe: async () => {
        this.#observed = await this.#observe();
        return this.#observed;
      },
      api,
      lock: this.lock,
      log,
      clock,
      nodeImage,
      signal,
    });
  }

  /** Says in the document's status that nothing can be done, where this site's objects may not be looked at. */
  async tellUnseen(refusals: readonly Refusal[], signal: AbortSignal): Promise<void> {
    const cluster = this.#local();
    if (cluster === undefined || refusals.length === 0) return;
    const status = unseenStatus(cluster, refusals, this.#options.clock.nowMs());
    await this.#siteApi(signal).writeStatus({ ...(cluster as unknown as KubernetesObject), status });
  }

  #observe() {
    const { cluster, self, sites, objects, clock } = this.#options;
    return observe({
      site: self.site,
      clock,
      views: (wanted) => sites.views(cluster, wanted),
      objects: () => objects.of(cluster),
      references: (wanted) => this.#references.current(wanted),
      lock: () => this.lock.refresh(),
      refusal: () => this.#refusal,
    });
  }

  #externalNodes(): readonly KmsNode[] {
    const { sites, cluster } = this.#options;
    return sites.local.view(cluster).nodes.filter(({ spec }) => spec.management === "External");
  }

  #signer(): OwnCa | undefined {
    const { cluster, self } = this.#options;
    const ca = this.#observed === undefined ? undefined : signingCa(this.#observed);
    return ca !== undefined && isCaOfSite(ca.pem, { cluster, site: self.site }) ? ca : undefined;
  }

  /** Undefined while this site has no CA that signs. */
  async #operatorCertificate(): Promise<OperatorCertificate | undefined> {
    const { cluster, self, clock } = this.#options;
    const name = this.#signer()?.secret;
    if (name === undefined) return undefined;
    const secret = await this.#siteApi(AbortSignal.timeout(externalCeilingMs)).readSecret(name);
    const [certificate, key] = [secret?.["tls.crt"], secret?.["ca.key"]];
    if (certificate === undefined || key === undefined) return undefined;
    try {
      const ca = { certificate: certificate.toString("utf8"), key };
      return await signOperatorCertificate({ cluster, site: self.site }, ca, clock.nowMs());
    } finally {
      key.fill(0);
    }
  }

  /** What is refused of another site's specification (its CRD may be newer) does not hold up the work on this site's own. */
  async #tryToDistributeSpec(api: SiteApi): Promise<void> {
    this.#refusal = undefined;
    try {
      await this.#distributeSpec(api);
    } catch (error) {
      if (!isApiError(error)) throw error;
      this.#refusal = error.message;
      this.#options.log.warn("specification not distributed", { cluster: this.#options.cluster, problem: error });
    }
  }

  async #distributeSpec(api: SiteApi): Promise<void> {
    const { cluster, self, sites, log } = this.#options;
    const local = this.#local();
    const peers = sites.names().filter((name) => name !== self.site);
    const views = sites.views(cluster, peers);
    const hasNodes = sites.local.view(cluster).nodes.length > 0;
    const decision = withMarks(decideSpec({ site: self.site, local, sites: views, hasNodes }), local);
    if (decision.kind === "keep") return;
    if (local === undefined && decision.kind === "adopt") {
      const there = views.find(({ name }) => name === decision.from)?.cluster;
      if (await hasEnded(sites.local.api, cluster, there?.status?.clusterId)) return;
    }
    const spec = decision.kind === "adopt" ? { spec: decision.spec } : {};
    const write = { name: cluster, local, version: decision.version, annotations: specAnnotations, ...spec };
    const written = await writeSpecCopy(sites.local.api, write);
    if (written === undefined) return;
    this.#sink().wrote(written);
    log.info("specification distributed", { cluster, kind: decision.kind, version: decision.version });
    const changed = decision.kind === "adopt" && JSON.stringify(local?.spec) !== JSON.stringify(decision.spec);
    if (changed) await api.event(adopted(written, decision));
  }

  #local(): KmsCluster | undefined {
    return this.#options.sites.local.view(this.#options.cluster).cluster;
  }

  #counting(): readonly string[] {
    const spec = this.#local()?.spec;
    const lost = spec?.recovery?.lostSites ?? [];
    return (spec?.sites ?? []).map(({ name }) => name).filter((name) => !lost.includes(name));
  }

  #siteApi(signal: AbortSignal): SiteApi {
    const { self, sites, clock, countEvent } = this.#options;
    const { log } = this.#options;
    const mayTell = () => this.#events.take();
    const api = siteApi({ api: sites.local.api, sink: this.#sink(), site: self.site, signal, clock, log });
    return {
      ...api,
      async event(event) {
        if (!mayTell()) return log.debug("event left out", { reason: event.reason, note: event.note });
        countEvent(event.reason);
        await api.event(event);
      },
      async letGo(object) {
        const { clusterId } = (object as unknown as KmsCluster).status ?? {};
        if (clusterId !== undefined) await noteEnd(sites.local.api, object.metadata.name, clusterId);
        await api.letGo(object);
      },
    };
  }

  /** Writes go to the informer of their kind. */
  #sink(): WriteSink {
    const { objects, sites } = this.#options;
    const of = ({ kind }: KubernetesObject): Informer | undefined =>
      objects.informer(kind) ?? sites.local.informer(kind);
    return {
      known: (object) => of(object)?.get(object.metadata.name),
      wrote: (object) => of(object)?.wrote(object),
      removed: (object) => of(object)?.removed(object),
    };
  }
}

/** A copy that keeps its version gets the finalizer all the same, and what tells edits of a deleted one from its deletion. */
function withMarks(decision: SpecDecision, local: KmsCluster | undefined): SpecDecision {
  const version = local?.metadata.annotations?.[specAnnotations.version];
  if (decision.kind !== "keep" || local === undefined || version === undefined) return decision;
  return lacksFinalizer(local) || isDeletionUncounted(local) ? { kind: "stamp", version } : decision;
}

function adopted(regarding: KubernetesObject, { from, version }: { readonly from: string; readonly version: string }) {
  const note = `specification ${version} taken over from ${from}`;
  return { regarding, type: "Normal", reason: "SpecAdopted", action: "Adopt", note } as const;
}
