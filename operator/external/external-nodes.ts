import type { OperatorCertificate } from "../act/operator-certificate.ts";
import { isApiError } from "../ports/kubernetes-api.ts";
import type { Clock, KmsNode, KubernetesObject, Log } from "../ports/types.ts";
import { defaultStatusPort, externalStatus, type NotTaken } from "./external-status.ts";
import { type Reading, readStatus } from "./status-reader.ts";

/** How often each External node is asked, and how long it may take to answer. */
const periodMs = 2_000;
const deadlineMs = 2_000;
/** One lost answer is no loss of a node. */
const failuresBeforeUnknown = 2;
/** A fleet has at most 20 nodes. */
const maxNodes = 32;

export interface ExternalNodesOptions {
  /** The External nodes of this site and fleet as they are now. */
  readonly nodes: () => readonly KmsNode[];
  /** PEM of the CAs of this site. */
  readonly trust: () => string;
  /** PEM of the CA that signs now; undefined while the site has none, or has lost it. */
  readonly ca: () => string | undefined;
  /** By what the operator shows itself, signed by that CA; undefined without it. */
  readonly certificate: () => Promise<OperatorCertificate | undefined>;
  /** Writes the status subresource where it differs. */
  readonly write: (node: KubernetesObject) => Promise<unknown>;
  readonly read?: typeof readStatus;
  readonly clock: Clock;
  readonly log: Log;
}

/** Speaks for the External nodes of a fleet in this site: reads their status from them and writes it for them. */
export class ExternalNodes {
  readonly #options: ExternalNodesOptions;
  readonly #failures = new Map<string, number>();
  #certificate: OperatorCertificate | undefined;
  #cancel: (() => void) | undefined;
  #looking = false;
  #stopped = false;

  constructor(options: ExternalNodesOptions) {
    this.#options = options;
  }

  /** Begins to look after them, if there are any and nobody does yet; goes on by itself until they are gone. */
  tend(): void {
    if (this.#stopped || this.#looking || this.#cancel !== undefined || this.#options.nodes().length === 0) return;
    void this.look();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  /** Looks at each once, and again after a while. */
  async look(): Promise<void> {
    this.#cancel = undefined;
    this.#looking = true;
    const nodes = this.#options.nodes().slice(0, maxNodes);
    try {
      const names = new Set(nodes.map(({ metadata }) => metadata.name));
      for (const name of this.#failures.keys()) if (!names.has(name)) this.#failures.delete(name);
      const certificate = await this.#ownCertificate();
      await Promise.all(nodes.map((node) => this.#lookAt(node, certificate)));
    } catch (error) {
      this.#options.log.warn("external nodes not read", { problem: (error as Error).message });
    } finally {
      this.#looking = false;
      if (!this.#stopped && nodes.length > 0)
        this.#cancel = this.#options.clock.after(periodMs, () => void this.look());
    }
  }

  async #ownCertificate(): Promise<OperatorCertificate | undefined> {
    const now = this.#options.clock.nowMs();
    // It does not begin until later when the clock was wrong by which it was made.
    const { beginsAtMs = Number.POSITIVE_INFINITY, renewAtMs = 0 } = this.#certificate ?? {};
    const ca = this.#options.ca();
    // Without a CA the last one is shown, which is good for a third of its life yet.
    const isOfAnother = ca !== undefined && !this.#certificate?.chainPem.includes(ca);
    if (isOfAnother || now < beginsAtMs || now >= renewAtMs)
      this.#certificate = (await this.#options.certificate()) ?? this.#certificate;
    return this.#certificate;
  }

  async #lookAt(seen: KmsNode, certificate: OperatorCertificate | undefined): Promise<void> {
    const { name } = seen.metadata;
    const reading = await this.#read(seen, certificate);
    const failures = reading.ok ? 0 : (this.#failures.get(name) ?? 0) + 1;
    this.#failures.set(name, failures);
    // Its document may have changed while it answered.
    const node = this.#options.nodes().find(({ metadata }) => metadata.uid === seen.metadata.uid);
    if (node === undefined || this.#stopped) return;
    const patient = !reading.ok && failures < failuresBeforeUnknown && node.status?.conditions !== undefined;
    const shown: Reading = patient ? { ok: true, status: node.status ?? {} } : reading;
    await this.#write(node, shown);
  }

  /** What is not taken must not leave standing what was good before; an API server that is away says nothing of the node. */
  async #write(node: KmsNode, shown: Reading | NotTaken): Promise<void> {
    const status = externalStatus(node, shown, this.#options.clock.nowMs());
    try {
      await this.#options.write({ ...(node as unknown as KubernetesObject), status });
    } catch (error) {
      const { message } = error as Error;
      this.#options.log.warn("status of an external node not written", { node: node.metadata.name, problem: message });
      if (shown.ok && isApiError(error, "invalid")) await this.#write(node, { ok: false, notTaken: message });
    }
  }

  async #read(node: KmsNode, certificate: OperatorCertificate | undefined): Promise<Reading> {
    const { address, statusPort = defaultStatusPort, certificateChain, site, cluster } = node.spec;
    if (certificateChain === undefined || address === undefined) return { ok: false, problem: "no certificate yet" };
    if (certificate === undefined)
      return { ok: false, problem: "this site has no CA that signs the operator's certificate" };
    const { chainPem, privateKeyPem } = certificate;
    const { name } = node.metadata;
    const trustPem = this.#options.trust();
    const who = { node: { name, site, cluster }, trustPem, chainPem, privateKeyPem };
    return await (this.#options.read ?? readStatus)({ address, port: statusPort, deadlineMs, ...who });
  }
}
