import { statfsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { KmsNode, KmsNodeStatus } from "@keyfleet/crds/kms-node.ts";
import type { Settings } from "../config/settings.ts";
import type { Log, NodeSource } from "../config/source.ts";
import type { Measured } from "../health/metrics.ts";
import type { Hsm } from "../hsm/types.ts";
import type { ActivityLog } from "../kmip/activity.ts";
import type { OperationMetrics } from "../kmip/batch-item.ts";
import type { MeshTls } from "../replication/types.ts";
import type { NodeStore } from "../store/types.ts";
import { Clock } from "./clock.ts";
import { Database } from "./database.ts";
import { departures, isOut } from "./departures.ts";
import type { Facts } from "./facts.ts";
import { type Identity, identityOfNode, openIdentity } from "./identity.ts";
import { MasterKey } from "./master-key.ts";
import { Mesh } from "./mesh.ts";
import { nextStep, type Step } from "./next-step.ts";
import { NodeCertificate, type NodeCertificateInUse } from "./node-certificate.ts";
import { OwnCertificate } from "./own-certificate.ts";
import { PeerProbe } from "./peer-probe.ts";
import { Reporter } from "./reporter.ts";
import { RootOfTrust } from "./root-of-trust.ts";
import { Service } from "./service.ts";
import { nodeStatus } from "./status.ts";
import { StatusDoor } from "./status-door.ts";
import { Tasks } from "./tasks.ts";

const turnMs = 1_000;
/** What an ending node waits for peers that are behind: acknowledged writes are safe already, others are not lost but late. */
const handOnMs = 2_000;

export interface MachineOptions {
  readonly settings: Settings;
  readonly source: NodeSource;
  readonly hsm: Hsm;
  readonly log: Log;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  readonly metrics: OperationMetrics;
  readonly activity: ActivityLog;
}

/**
 * One node. At every turn (each second, and whenever something changed) it gathers the facts, takes the step that
 * follows from them and reports. Nothing is remembered between turns that the facts do not say.
 */
export class Machine {
  readonly #options: MachineOptions;
  readonly #startedAt = new Date().toISOString();
  readonly #rootOfTrust: RootOfTrust;
  readonly #clock: Clock;
  readonly #database: Database;
  readonly #masterKey: MasterKey;
  readonly #mesh: Mesh;
  readonly #peerProbe: PeerProbe;
  readonly #service: Service;
  readonly #ownCertificate: OwnCertificate;
  readonly #restCertificate: OwnCertificate;
  readonly #statusDoor: StatusDoor;
  readonly #tasks: Tasks;
  readonly #reporter: Reporter;
  #nodeCertificate: NodeCertificate | undefined;
  #identity: Identity | undefined;
  #identityProblem: string | undefined;
  #turning: Promise<void> | undefined;
  #again = false;
  #timer: NodeJS.Timeout | undefined;
  #ending = false;
  #stopping = false;

  constructor(options: MachineOptions) {
    const { settings, source, hsm, log, nowMs } = options;
    const { runFolder, postgresPort: port } = settings;
    this.#options = options;
    this.#rootOfTrust = new RootOfTrust(hsm, log);
    this.#clock = new Clock({ runFolder, log, nowMs });
    this.#database = new Database({
      socketDirectory: `${runFolder}/postgres`,
      port,
      log,
      version: settings.version,
      freeBytes: () => freeBytes(settings.dataFolder),
    });
    this.#masterKey = new MasterKey(hsm);
    const wrapFor = (identity: string) => this.#masterKey.wrapFor(identity, source.current());
    this.#mesh = new Mesh({ runFolder, port, log, nowMs, wrapFor });
    this.#peerProbe = new PeerProbe({ nowMs });
    this.#service = new Service({ settings, log, metrics: options.metrics, activity: options.activity });
    this.#statusDoor = new StatusDoor({ settings, log, status: () => this.#status() });
    this.#ownCertificate = new OwnCertificate(settings.kmipCertificate, "interfaces.kmip.certificateSecretRef");
    this.#restCertificate = new OwnCertificate(settings.restCertificate, "interfaces.rest.certificateSecretRef");
    this.#tasks = new Tasks({ log, nowMs, ended: () => this.wake() });
    this.#reporter = new Reporter(source, log);
  }

  start(): void {
    this.#options.source.onChange(() => this.wake());
    void this.#database.open(this.#opened);
    this.#timer = setInterval(() => this.#look(), turnMs);
    this.#look();
  }

  readonly #opened = (store: NodeStore): void => {
    store.onNotification((channel) => channel === "connected" && this.#mesh.forgetDoor());
    this.#mesh.forgetDoor();
    this.wake();
  };

  /**
   * Tells everybody that service ends, goes on with it for `leaveMs` until balancers have left, ends sessions between
   * requests and lets peers take what they do not hold yet; then all else. The process may exit afterwards.
   */
  async stop(leaveMs = 0): Promise<void> {
    this.#ending = true;
    this.wake();
    if (leaveMs > 0 && this.#service.serving) await delay(leaveMs);
    this.#stopping = true;
    clearInterval(this.#timer);
    this.#service.stop("drain");
    await this.#service.ended();
    await this.#turning;
    await this.#mesh.handOn(this.#database.store?.status().head ?? 0, handOnMs);
    await this.#mesh.stop();
    await this.#database.close();
    await this.#reporter.idle();
    await this.#statusDoor.close();
    this.#masterKey.drop();
    this.#options.source.close();
  }

  /** Takes a turn as soon as the present one is over. */
  wake(): void {
    if (this.#stopping) return;
    this.#again = true;
    this.#turning ??= this.#turns();
  }

  get facts(): Facts {
    const { settings, source } = this.#options;
    return {
      ownVersion: settings.version,
      document: source.current(),
      documentProblem: source.problem(),
      hsm: this.#rootOfTrust.status,
      time: this.#clock.facts,
      certificate: this.#certificate(source.current()).facts,
      database: this.#database.facts,
      keyring: this.#keyring(),
      clusterId: this.#database.clusterId,
      incarnation: this.#database.store?.incarnation,
      departures: this.#departures(),
      replication: this.#replication(),
      serving: this.#service.serving,
      draining: this.#service.draining,
      ending: this.#ending,
      ownCertificate: this.#ownCertificate.look(Date.now()),
      settingsProblems: this.#settingsProblems(),
      startedWith: settings.startedWith,
      portsWaiting: this.#service.portsWaiting,
      failure: this.#tasks.failure,
    };
  }

  /** For metrics. */
  get measured(): Measured {
    const { store } = this.#database;
    return {
      facts: this.facts,
      replication: this.#mesh.status,
      store: store === undefined ? undefined : { vector: store.vector(), status: store.status() },
      kmipConnections: this.#service.connections,
    };
  }

  #look(): void {
    void this.#rootOfTrust.look().then((changed) => changed && this.wake());
    void this.#clock.look(this.#options.source.current()).then((changed) => changed && this.wake());
    void this.#peerProbe.look(this.#waiting()).then((changed) => changed && this.wake());
    this.wake();
  }

  /** The document of a node that is to join, or may be: without a master key it has no links. */
  #waiting(): KmsNode | undefined {
    const node = this.#options.source.current();
    const hasNoKey = this.#database.facts.ready && this.#keyring() === "none";
    const action = node?.spec.membership.action;
    return hasNoKey && !this.#ending && (action === "None" || action === "Join") ? node : undefined;
  }

  #replication(): Facts["replication"] {
    const links = this.#mesh.facts;
    return links.runningMs === undefined ? { ...links, peers: this.#peerProbe.peers } : links;
  }

  async #turns(): Promise<void> {
    while (this.#again && !this.#stopping) {
      this.#again = false;
      await this.#turn().catch((error: Error) =>
        this.#options.log("error", "a turn failed", { problem: error.stack ?? error.message }),
      );
    }
    this.#turning = undefined;
  }

  async #turn(): Promise<void> {
    const node = this.#options.source.current();
    if (node !== undefined) await this.#openIdentity(node);
    const step = nextStep(this.facts);
    if (step.do !== "serve") this.#service.stop(this.#rootOfTrust.status.ready ? "drain" : "cut");
    if (!this.#rootOfTrust.status.ready) await this.#forgetMasterKey();
    const tls = node && this.#meshTls(node);
    if (node !== undefined && tls !== undefined) {
      await this.#statusDoor.tend(node, tls);
      await this.#tend(node, step, tls);
    }
    this.#reporter.offer(this.#status(), this.#options.nowMs());
  }

  /** Keeps what runs in line with the document, then takes the step. */
  async #tend(node: KmsNode, step: Step, tls: MeshTls): Promise<void> {
    const { store } = this.#database;
    if (store === undefined || !this.#database.facts.ready) return;
    const own = node.spec.members.find(({ name }) => name === node.metadata.name);
    const out = isOut(own, store.incarnation);
    store.setFeatureLevel(node.spec.featureLevel);
    await this.#mesh.openDoor(tls, out ? [] : node.spec.members);
    if (out) await this.#mesh.stop();
    else if (this.#masterKey.loaded) this.#mesh.exchange(node, tls, store);
    await this.#take(step, { node, tls, store });
  }

  async #take(step: Step, { node, tls, store }: { node: KmsNode; tls: MeshTls; store: NodeStore }): Promise<void> {
    if (step.do === "found")
      this.#tasks.start("found", () => this.#masterKey.found(store).then(() => this.#database.refresh()));
    if (step.do === "load") this.#tasks.start("load", () => this.#masterKey.load(store));
    if (step.do === "join") {
      const { sponsor } = step;
      this.#tasks.start("join", () =>
        this.#masterKey.join(store, { node, sponsor, tls }).then(() => this.#database.refresh()),
      );
    }
    if (step.do === "wipe") this.#tasks.start("wipe", () => this.#wipe());
    const keyring = this.#masterKey.keyring;
    if (step.do !== "serve" || keyring === undefined) return;
    const { parts } = this.#ownCertificate.look(Date.now());
    const chainPem = parts?.chainPem ?? tls.certificateChainPem;
    const privateKeyPem = parts?.privateKeyPem ?? tls.privateKeyPem;
    const rest = this.#restCertificate.look(Date.now()).parts;
    const door = { node, store, keyring, chainPem, privateKeyPem, ...(rest === undefined ? {} : { rest }) };
    if (this.#service.serving) this.#service.update(door);
    else this.#tasks.start("serve", () => this.#service.start(door));
  }

  async #wipe(): Promise<void> {
    await this.#mesh.stop();
    this.#masterKey.drop();
    await this.#database.wipe(this.#opened);
  }

  #departures(): Facts["departures"] {
    const { store } = this.#database;
    const node = this.#options.source.current();
    return node === undefined || store === undefined ? [] : departures(node, store, this.#mesh.status?.ownLogRefused);
  }

  async #forgetMasterKey(): Promise<void> {
    if (!this.#masterKey.loaded) return;
    this.#options.log("warn", "the root of trust is lost: the master key is dropped from memory");
    this.#masterKey.drop();
    await this.#mesh.stop();
  }

  async #openIdentity(node: KmsNode): Promise<void> {
    if (this.#identity !== undefined) return;
    const subject = { cluster: node.spec.cluster, site: node.spec.site, node: node.metadata.name };
    try {
      this.#identity = await openIdentity(this.#options.settings.dataFolder, subject);
      this.#nodeCertificate = new NodeCertificate(this.#identity.certificateFile, this.#options.log);
      this.#identityProblem = undefined;
    } catch (error) {
      this.#identityProblem = `the node's volume cannot keep its key: ${(error as Error).message}`;
    }
  }

  #certificate(node: KmsNode | undefined): NodeCertificateInUse {
    if (node !== undefined && this.#identity !== undefined && this.#nodeCertificate !== undefined)
      return this.#nodeCertificate.look({ ...node.spec, identity: identityOfNode(node) }, this.#identity, Date.now());
    const message = this.#identityProblem ?? "making the node's key";
    return { facts: { state: "Requested", message }, chainPem: undefined };
  }

  #meshTls(node: KmsNode): MeshTls | undefined {
    const { chainPem } = this.#certificate(node);
    const { trustBundle } = node.spec;
    if (this.#identity === undefined || chainPem === undefined || trustBundle === undefined) return undefined;
    const { privateKeyPem } = this.#identity;
    return { certificateChainPem: chainPem, trustBundlePem: trustBundle, privateKeyPem };
  }

  #settingsProblems(): string[] {
    const own = [this.#ownCertificate, this.#restCertificate].map((each) => each.look(Date.now()).problem);
    const problems = [this.#clock.problem, ...own, ...this.#service.problems];
    return problems.filter((problem) => problem !== undefined);
  }

  #keyring(): Facts["keyring"] {
    if (this.#masterKey.loaded) return "loaded";
    return this.#database.holdsMasterKey ? "stored" : "none";
  }

  #interfaces(): NonNullable<KmsNodeStatus["interfaces"]> {
    const { parts: kmip } = this.#ownCertificate.look(Date.now());
    const rest = this.#restCertificate.look(Date.now()).parts ?? kmip;
    const served = this.#service.interfaces.map((each) => {
      const parts = each.name === "rest" ? rest : kmip;
      return { ...each, ...(parts === undefined ? {} : { certificateNotAfter: parts.notAfter }) };
    });
    return [...served, ...this.#statusDoor.interfaces];
  }

  #status(): KmsNodeStatus {
    const { joinPublicKey } = this.#rootOfTrust;
    const incarnation = this.#database.store?.incarnation;
    const particulars = {
      startedAt: this.#startedAt,
      interfaces: this.#interfaces(),
      diskUsedPercent: diskUsedPercent(this.#options.settings.dataFolder),
      ...(incarnation === undefined ? {} : { incarnation }),
      ...(joinPublicKey === undefined ? {} : { joinPublicKey }),
      ...(this.#identity === undefined ? {} : { certificateRequest: this.#identity.certificateRequest }),
    };
    return nodeStatus(this.facts, particulars, this.#reporter.previous, new Date().toISOString());
  }
}

/** The database is on the same volume as the node's own files. */
function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

function diskUsedPercent(folder: string): number {
  const { blocks, bavail } = statfsSync(folder);
  return blocks === 0 ? 0 : (100 * (blocks - bavail)) / blocks;
}
