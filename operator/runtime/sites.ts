import type { ApiError, KubernetesApi } from "../ports/kubernetes-api.ts";
import { type PeerKubeconfig, readPeerKubeconfig } from "../ports/peer-kubeconfig.ts";
import type { Clock, KubernetesObject, Log, SiteView } from "../ports/types.ts";
import { Informer } from "./informer.ts";
import { Site } from "./site.ts";

/** Label of a Secret that has the kubeconfig of a peer site; its value is the site's name. */
export const siteLabel = "keyfleet.io/site";
/** Key in that Secret. */
const kubeconfigKey = "kubeconfig";
/** A fleet has at most 7 sites; several fleets may have others. */
const maxSites = 16;

export interface SitesOptions {
  /** Name of the site that this operator serves. */
  readonly site: string;
  readonly localApi: KubernetesApi;
  /** Makes the API of a peer. */
  readonly connect: (site: string, peer: Extract<PeerKubeconfig, { ok: true }>) => KubernetesApi;
  readonly onChange: (cluster: string) => void;
  readonly onReachability: (site: string) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** A peer: its Secret's text, and either a connection or why there is none. */
interface Peer {
  readonly text: string;
  readonly site: Site | undefined;
  readonly problem: string | undefined;
  readonly expiresAtMs: number | undefined;
}

/** The local site and its peers. Peers follow their Secrets: added, rotated and removed without a restart. */
export class Sites {
  readonly #options: SitesOptions;
  readonly #secrets: Informer;
  readonly #peers = new Map<string, Peer>();
  readonly local: Site;

  constructor(options: SitesOptions) {
    this.#options = options;
    const { localApi: api, clock, log, onChange, onReachability } = options;
    const explain = (error: ApiError) => `this site's own API server does not answer the operator (${error.message})`;
    const onLocal = (site: string) => {
      // As all that is watched there: its old stream may hang, or be of a time that never was.
      if (this.local.reachable) this.#secrets.restart();
      onReachability(site);
    };
    const local = { name: options.site, local: true, onReachability: onLocal };
    this.local = new Site({ ...local, api, explain, onChange, clock, log });
    this.#secrets = new Informer({
      api,
      clock,
      log,
      kind: "Secret",
      labelSelector: siteLabel,
      // All: it may have been another site's before its label was changed.
      onChange: () => this.#refreshAll(),
      onListed: () => this.#refreshAll(),
    });
  }

  start(): void {
    this.local.start();
    this.#secrets.start();
  }

  stop(): void {
    this.#secrets.stop();
    this.local.stop();
    for (const { site } of this.#peers.values()) site?.stop();
  }

  /** Whether what this site has is known; peers may be away. */
  get ready(): boolean {
    return this.local.listed && this.#secrets.fresh;
  }

  /** The site of that name when a connection to it is configured. */
  get(name: string): Site | undefined {
    return name === this.#options.site ? this.local : this.#peers.get(name)?.site;
  }

  /** Names of all sites with a connection or a Secret, the local one first. */
  names(): readonly string[] {
    return [this.#options.site, ...[...this.#peers.keys()].sort()];
  }

  /** When the credentials for a peer end, if they say so. */
  expiresAtMs(name: string): number | undefined {
    return this.#peers.get(name)?.expiresAtMs;
  }

  /** Names of KmsClusters that any site has. */
  clusterNames(): ReadonlySet<string> {
    const all = this.names().flatMap((name) => this.get(name)?.clusterNames() ?? []);
    return new Set(all);
  }

  /** The last good view of these sites, and of the local one. */
  views(cluster: string, wanted: readonly string[]): readonly SiteView[] {
    const names = wanted.includes(this.#options.site) ? wanted : [...wanted, this.#options.site];
    return names.map((name) => {
      const there = this.#leadsTo(name);
      if (there === undefined) return this.get(name)?.view(cluster) ?? this.#unseen(name);
      const problem = `kubeconfig for ${name} leads to ${there}: put that of ${name} into the Secret for it (label ${siteLabel}=${name})`;
      return { ...this.#unseen(name), problem };
    });
  }

  /** The API of a site that answers, and is that site's. */
  reachedApi(name: string): KubernetesApi | undefined {
    const site = this.get(name);
    return site?.reachable && this.#leadsTo(name) === undefined ? site.api : undefined;
  }

  /**
   * The site whose KmsClusters a peer shows as its own: its kubeconfig leads there. Taken for two sites one would count twice
   * for the fleet lock. Of two peers that show the same the one is right that has nodes of its own name.
   */
  #leadsTo(name: string): string | undefined {
    const site = this.get(name);
    if (site === undefined || site === this.local) return undefined;
    const uids = new Set(site.clusterUids());
    const same = this.names().find(
      (other) =>
        other !== name &&
        this.get(other)
          ?.clusterUids()
          .some((uid) => uids.has(uid)),
    );
    return same === this.#options.site || !site.hasOwnNode() ? same : undefined;
  }

  #unseen(name: string): SiteView {
    const make = `see helm/README.md, "Peers"`;
    const problem = this.#secrets.fresh
      ? (this.#peers.get(name)?.problem ?? `no kubeconfig Secret labelled ${siteLabel}=${name}: make one, ${make}`)
      : "the kubeconfig Secrets have not been read yet";
    return { name, local: false, reachable: false, ageMs: undefined, problem, cluster: undefined, nodes: [] };
  }

  #refreshAll(): void {
    const labelled = this.#secrets.items().map(({ metadata }) => metadata.labels?.[siteLabel]);
    // Who goes makes room first.
    for (const name of new Set([...this.#peers.keys(), ...labelled])) this.#refresh(name);
  }

  #refresh(name: string | undefined): void {
    if (name === undefined || name === this.#options.site || name === "*") return;
    const secrets = this.#secrets.items().filter(({ metadata }) => metadata.labels?.[siteLabel] === name);
    const text = secrets.map((secret) => JSON.stringify(secret.data ?? {})).join("\n");
    const known = this.#peers.get(name);
    if (secrets.length === 0) this.#remove(name);
    else if (known?.text !== text) this.#replace(name, secrets, text);
  }

  #remove(name: string): void {
    const known = this.#peers.get(name);
    if (known === undefined) return;
    known.site?.stop();
    this.#peers.delete(name);
    this.#options.log.warn("peer removed", { site: name });
    this.#options.onReachability(name);
  }

  #replace(name: string, secrets: readonly KubernetesObject[], text: string): void {
    const { log, onReachability } = this.#options;
    if (!this.#peers.has(name) && this.#peers.size >= maxSites) {
      log.error("too many peers, one is ignored", { site: name, limit: maxSites });
      return;
    }
    this.#peers.get(name)?.site?.stop();
    const peer = this.#connect(name, secrets);
    this.#peers.set(name, { ...peer, text });
    if (peer.problem === undefined) log.info("peer configured", { site: name, secret: secrets[0]?.metadata.name });
    else log.warn("peer not usable", { site: name, problem: peer.problem });
    peer.site?.start();
    onReachability(name);
  }

  #connect(name: string, secrets: readonly KubernetesObject[]): Omit<Peer, "text"> {
    const none = { site: undefined, expiresAtMs: undefined };
    const [secret, second] = secrets;
    const secretName = secret?.metadata.name ?? "";
    if (second !== undefined) {
      const both = `${secretName} and ${second.metadata.name}`;
      return { ...none, problem: `two Secrets are labelled ${siteLabel}=${name} (${both}): delete one` };
    }
    const encoded = (secret?.data as Record<string, string> | undefined)?.[kubeconfigKey];
    if (encoded === undefined) {
      return {
        ...none,
        problem: `Secret ${secretName} has no key ${kubeconfigKey}: put the kubeconfig for ${name} there`,
      };
    }
    const read = readPeerKubeconfig(Buffer.from(encoded, "base64").toString("utf8"));
    if (!read.ok) return { ...none, problem: `kubeconfig for ${name} ${read.problem}: renew the Secret ${secretName}` };
    return { site: this.#site(name, secretName, read), problem: undefined, expiresAtMs: read.expiresAtMs };
  }

  #site(name: string, secret: string, peer: Extract<PeerKubeconfig, { ok: true }>): Site {
    const { clock, log, onChange, onReachability } = this.#options;
    const server = new URL(peer.kubeConfig.getCurrentCluster()?.server ?? "").host;
    const { expiresAtMs = Number.POSITIVE_INFINITY } = peer;
    const explain = (error: ApiError) => {
      const expiredAtMs = expiresAtMs <= clock.nowMs() ? expiresAtMs : undefined;
      return explainPeer(error, { name, secret, server, expiredAtMs });
    };
    const api = this.#options.connect(name, peer);
    return new Site({ name, local: false, api, explain, onChange, onReachability, clock, log });
  }
}

function explainPeer(
  error: ApiError,
  peer: {
    readonly name: string;
    readonly secret: string;
    readonly server: string;
    readonly expiredAtMs: number | undefined;
  },
): string {
  const { name, secret, server, expiredAtMs } = peer;
  // A client certificate that is over is refused before anything is said over HTTP.
  if (expiredAtMs !== undefined && ["unauthorized", "unreachable"].includes(error.code))
    return `kubeconfig for ${name} expired at ${new Date(expiredAtMs).toISOString()} (${error.message}): renew the Secret ${secret}`;
  if (error.code === "unauthorized") return `kubeconfig for ${name} refused (401): renew the Secret ${secret}`;
  if (error.code === "forbidden") {
    return `${name} does not let us read KmsClusters (403): use the account keyfleet-peer of its chart in the Secret ${secret}`;
  }
  if (error.code === "notFound") return `${name} does not know KmsClusters (404): install keyfleet there`;
  if (error.code !== "unreachable") return `${name} answers with an error (${error.message}): look at its API server`;
  return `${name} does not answer at ${server} (${error.message}): check the site, the network and the address in Secret ${secret}`;
}
