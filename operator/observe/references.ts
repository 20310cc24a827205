import type { Kind } from "../ports/kinds.ts";
import { isApiError, type KubernetesApi } from "../ports/kubernetes-api.ts";
import type { Clock, KmsCluster, KubernetesObject, Log, Reference } from "../ports/types.ts";

/** How often what is missing is looked for again: it is to be noticed within 5 s. */
const missingEveryMs = 4_000;
/** How often what is there is looked at again. */
const presentEveryMs = 30_000;
/** References of one KmsCluster in one site that are followed; 20 nodes have at most some 80. More count as missing. */
const maxReferences = 256;

interface Known {
  readonly reference: Reference;
  readonly readAtMs: number;
}

/** What spec refers to in one site, as "Kind/name", sorted. */
export function wantedReferences(cluster: KmsCluster, site: string): readonly string[] {
  const entry = cluster.spec.sites.find(({ name }) => name === site);
  if (entry === undefined) return [];
  const settings = [cluster.spec.defaults, entry.defaults, ...entry.nodes.map((node) => node.settings)];
  const secrets = settings.flatMap((each) => [
    each?.hsm?.pinSecretRef,
    each?.licence?.secretRef,
    each?.backup?.keyRef,
    each?.interfaces?.kmip?.certificateSecretRef,
    each?.interfaces?.mesh?.certificateSecretRef,
    each?.interfaces?.rest?.certificateSecretRef,
  ]);
  const names = [
    ...secrets.flatMap((reference) => (reference === undefined ? [] : [`Secret/${reference.name}`])),
    ...(cluster.spec.clients?.caBundleRefs ?? []).map(({ name }) => `ConfigMap/${name}`),
  ];
  return [...new Set(names)].sort().slice(0, maxReferences);
}

/**
 * Reads what a KmsCluster refers to, by name, and looks again by itself. Of a Secret only the names of its keys are
 * fetched (from the metadata, so that no PIN ever comes into this process); the data of ConfigMaps is public.
 */
export class References {
  readonly #options: ReferencesOptions;
  readonly #known = new Map<string, Known>();
  #wanted: readonly string[] = [];
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(options: ReferencesOptions) {
    this.#options = options;
  }

  /** What is known of these; those that were never read are read now. */
  async current(wanted: readonly string[]): Promise<ReadonlyMap<string, Reference>> {
    this.#wanted = wanted;
    for (const name of this.#known.keys()) if (!wanted.includes(name)) this.#known.delete(name);
    await Promise.all(wanted.filter((name) => !this.#known.has(name)).map((name) => this.#read(name)));
    if (this.#cancel === undefined) this.#lookAgainLater();
    return new Map(wanted.flatMap((name) => this.#entry(name)));
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  #entry(name: string): [string, Reference][] {
    const reference = this.#known.get(name)?.reference;
    return reference === undefined ? [] : [[name, reference]];
  }

  #lookAgainLater(): void {
    if (this.#stopped) return;
    this.#cancel = this.#options.clock.after(missingEveryMs, () => void this.#lookAgain());
  }

  async #lookAgain(): Promise<void> {
    const now = this.#options.clock.monotonicMs();
    const due = this.#wanted.filter((name) => {
      const known = this.#known.get(name);
      return known === undefined || !known.reference.present || now - known.readAtMs >= presentEveryMs;
    });
    const changed = await Promise.all(due.map((name) => this.#read(name)));
    if (changed.includes(true)) this.#options.onChange();
    this.#lookAgainLater();
  }

  /** Whether it differs from what was known. An API that does not answer leaves what is known as it is. */
  async #read(name: string): Promise<boolean> {
    const [kind, object] = name.split("/") as [Kind, string];
    try {
      const reference = kind === "Secret" ? await this.#secret(object) : await this.#configMap(object);
      const before = this.#known.get(name)?.reference;
      this.#known.set(name, { reference, readAtMs: this.#options.clock.monotonicMs() });
      return JSON.stringify(before) !== JSON.stringify(reference);
    } catch (error) {
      if (!isApiError(error)) throw error;
      this.#options.log.warn("reference not read", { reference: name, problem: error.message });
      return false;
    }
  }

  async #secret(name: string): Promise<Reference> {
    const metadata = await this.#options.api.getMetadata("Secret", name);
    if (metadata === undefined) return absent;
    const keys = keysInMetadata(metadata);
    if (keys.length > 0) return { present: true, keys };
    // Somebody cleared managedFields: only the object itself tells. Its values go out of scope unread.
    const secret = await this.#options.api.get("Secret", name);
    return secret === undefined ? absent : { present: true, keys: Object.keys(secret.data ?? {}).sort() };
  }

  async #configMap(name: string): Promise<Reference> {
    const object = await this.#options.api.get("ConfigMap", name);
    if (object === undefined) return absent;
    const data = (object.data ?? {}) as Record<string, string>;
    return { present: true, keys: Object.keys(data).sort(), data };
  }
}

export interface ReferencesOptions {
  readonly api: KubernetesApi;
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

const absent: Reference = { present: false, keys: [] };

interface ManagedFields {
  readonly fieldsV1?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Names of a Secret's keys as the API server tracks them: {"f:data": {".": {}, "f:pin": {}}}. */
function keysInMetadata(secret: KubernetesObject): readonly string[] {
  const managers = (secret.metadata.managedFields ?? []) as readonly ManagedFields[];
  const fields = managers.flatMap(({ fieldsV1 }) => [fieldsV1?.["f:data"], fieldsV1?.["f:stringData"]]);
  const names = fields.flatMap((field) => Object.keys(field ?? {}));
  return [...new Set(names.filter((name) => name.startsWith("f:")).map((name) => name.slice(2)))].sort();
}
