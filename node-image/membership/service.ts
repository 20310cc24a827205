import type { KmsNode } from "@keyfleet/crds/kms-node.ts";
import type { Settings } from "../config/settings.ts";
import type { Log } from "../config/source.ts";
import type { Keyring } from "../keys/types.ts";
import type { ActivityLog } from "../kmip/activity.ts";
import type { OperationMetrics } from "../kmip/batch-item.ts";
import { type KmipHandler, kmipHandler } from "../kmip/handler.ts";
import type { ListenLimits } from "../listen/limits.ts";
import { type KmipServer, kmipServer, listenMemory, type TlsParts } from "../listen/server.ts";
import type { Store } from "../objects/types.ts";
import type { CryptographyPolicy } from "../operations/cryptography.ts";
import { type KeyCache, keyCache } from "../operations/key-cache.ts";
import { UsageKeeper } from "../operations/usage-keeper.ts";
import { ClientAuthorities } from "./client-authorities.ts";
import { fieldsLog } from "./database.ts";

const defaultKmipPort = 5696;
const defaultHttpsPort = 8443;

/** Ports that are asked for. */
type Ports = Readonly<Record<"kmip" | "rest", number>>;

interface DoorParts {
  readonly tls: TlsParts;
  readonly handler: KmipHandler;
}

/** A port that is open. */
interface Interface {
  readonly name: "kmip" | "rest";
  readonly server: KmipServer;
}

export interface ServiceOptions {
  readonly settings: Settings;
  readonly log: Log;
  readonly metrics: OperationMetrics;
  readonly activity: ActivityLog;
}

/** What clients are served with. */
export interface Door {
  readonly node: KmsNode;
  readonly store: Store;
  readonly keyring: Keyring;
  readonly chainPem: string;
  readonly privateKeyPem: string;
  /** Shown by HTTPS instead. */
  readonly rest?: { readonly chainPem: string; readonly privateKeyPem: string };
}

/** The ports of KMIP, by TLS and by HTTPS: open only while the node may serve. */
export class Service {
  readonly #options: ServiceOptions;
  #open: readonly Interface[] = [];
  #tls: DoorTls | undefined;
  /** One for each store: it outlives the port, and answers other nodes while this one serves no clients. */
  #usage: { readonly store: Store; readonly keeper: UsageKeeper } | undefined;
  #clients: KmsNode["spec"]["clients"] | undefined;
  readonly #authorities = new ClientAuthorities();
  /** What was asked for when they were opened, and what is asked for now. */
  #openPorts: Ports | undefined;
  #wantedPorts: Ports | undefined;
  #problem: string | undefined;
  #serving = false;
  readonly #connections = new Map<string, number>();
  /** Of both ports together. */
  readonly #memory = listenMemory();
  #ending: Promise<void> = Promise.resolve();
  #draining = false;
  /** Forgotten whenever service ends: without the root of trust no key stays usable. */
  readonly #keys: KeyCache = keyCache(() => new Date());

  constructor(options: ServiceOptions) {
    this.#options = options;
  }

  get serving(): boolean {
    return this.#serving;
  }

  /** Connections from before service ended are still open. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Settings of ports that have changed since these were opened; connections of clients stay until the next start. */
  get portsWaiting(): readonly string[] {
    const [open, wanted] = [this.#openPorts, this.#wantedPorts];
    if (open === undefined || wanted === undefined) return [];
    return (["kmip", "rest"] as const)
      .filter((name) => open[name] !== wanted[name])
      .map((name) => `interfaces.${name}.port`);
  }

  /** What of the document cannot be used, each beginning with its field: a port, CAs of clients. */
  get problems(): readonly string[] {
    return [this.#problem, this.#authorities.problem].filter((problem) => problem !== undefined);
  }

  get connections(): number {
    return [...this.#connections.values()].reduce((sum, open) => sum + open, 0);
  }

  get interfaces(): readonly { readonly name: string; readonly port: number }[] {
    return this.#open.map(({ name, server }) => ({ name, port: server.port }));
  }

  /** Opens the port; rejects when it cannot be had or the certificate cannot be used. */
  async start(door: Door): Promise<void> {
    this.#clients = door.node.spec.clients;
    this.#tls = this.#tlsOf(door);
    // Without a CA for clients nobody could be let in, so nothing listens; an empty list must never mean "any CA".
    if (hasAuthorities(this.#tls.kmip)) await this.#listen(door, this.#tls);
    else this.#options.log("warn", "spec.clients.caBundle holds no CA: no client is let in");
    this.#serving = true;
    this.#options.log("info", "serving", { interfaces: this.interfaces });
  }

  /** Takes a new certificate or new authorities for clients live; connections stay. */
  update(door: Door): void {
    this.#clients = door.node.spec.clients;
    this.#wantedPorts = this.#portsOf(door.node);
    const tls = this.#tlsOf(door);
    if (JSON.stringify(tls) === JSON.stringify(this.#tls)) return;
    if (this.#open.length === 0 || !hasAuthorities(tls.kmip)) {
      this.stop("drain"); // The next turn opens what is to be open.
      return;
    }
    try {
      for (const { name, server } of this.#open) server.updateTls(tls[name]);
      this.#tls = tls;
    } catch (error) {
      this.#options.log("error", "cannot use the new certificate", { problem: (error as Error).message });
    }
  }

  /** Ends service at once: `drain` lets requests in work end, `cut` does not (the root of trust is gone). */
  stop(how: "drain" | "cut"): void {
    this.#serving = false;
    this.#keys.clear();
    const open = this.#open;
    if (open.length === 0) return;
    this.#open = [];
    this.#openPorts = undefined;
    this.#problem = undefined;
    this.#options.log("info", "no longer serving", { how });
    this.#draining = true;
    const ends = open.map(({ server }) => (how === "cut" ? server.close() : server.drain()));
    const ending = Promise.all(ends).then(() => {
      if (!this.#serving) this.#keys.clear();
      if (this.#ending === ending) this.#draining = false;
    });
    this.#ending = ending;
  }

  /** Resolves when the last connection of an ended service is closed. */
  async ended(): Promise<void> {
    await this.#ending;
  }

  async #listen(door: Door, tls: DoorTls): Promise<void> {
    const { log, metrics, activity } = this.#options;
    const kmipLog = fieldsLog(log, "kmip");
    if (this.#usage?.store !== door.store) {
      this.#usage = { store: door.store, keeper: new UsageKeeper({ store: door.store, log: kmipLog }) };
    }
    const handler = kmipHandler({
      store: door.store,
      keyring: door.keyring,
      usage: this.#usage.keeper,
      firstAdministrators: () => this.#clients?.administrators ?? [],
      cryptography: this.#policy(),
      keys: this.#keys,
      log: kmipLog,
      metrics,
      activity,
    });
    const ports = this.#portsOf(door.node);
    const kmip = await this.#openPort({ name: "kmip", protocol: "ttlv", port: ports.kmip }, { tls: tls.kmip, handler });
    const rest = await this.#openHttps(ports.rest, { tls: tls.rest, handler });
    this.#open = [kmip, ...(rest === undefined ? [] : [rest])];
    this.#openPorts = ports;
    this.#wantedPorts = ports;
  }

  /** Clients of KMIP itself are served whatever becomes of the second door. */
  #openHttps(port: number, parts: DoorParts): Promise<Interface | undefined> {
    this.#problem = undefined;
    return this.#openPort({ name: "rest", protocol: "https", port }, parts).catch((error: Error) => {
      this.#options.log("error", "cannot open the HTTPS port", { port, problem: error.message });
      this.#problem = `interfaces.rest.port: ${port} cannot be opened (${error.message}); set another`;
      return undefined;
    });
  }

  #portsOf({ spec }: KmsNode): Ports {
    const { kmip, rest } = spec.settings.interfaces ?? {};
    return {
      kmip: this.#options.settings.kmipPort || (kmip?.port ?? defaultKmipPort),
      rest: rest?.port ?? defaultHttpsPort,
    };
  }

  /** Asked at each request, so that a change of the document acts at once. */
  #policy(): CryptographyPolicy {
    const { settings } = this.#options;
    const clients = () => this.#clients;
    return {
      get legacyCiphers() {
        return settings.legacyCiphers || clients()?.legacyCiphers === true;
      },
      get servesCompromised() {
        return settings.servesCompromised || clients()?.serveCompromised === true;
      },
      seed: settings.clientSeedBytes ?? "refused",
    };
  }

  #tlsOf({ node, chainPem, privateKeyPem, rest }: Door): DoorTls {
    const clientAuthorities = this.#authorities.of(node.spec.clients.caBundle);
    const kmip = { certificate: chainPem, key: privateKeyPem, clientAuthorities };
    if (rest === undefined) return { kmip, rest: kmip };
    return { kmip, rest: { certificate: rest.chainPem, key: rest.privateKeyPem, clientAuthorities } };
  }

  async #openPort(
    wanted: { readonly name: Interface["name"]; readonly protocol: "ttlv" | "https"; readonly port: number },
    parts: DoorParts,
  ): Promise<Interface> {
    const { name, protocol, port } = wanted;
    const { settings, log } = this.#options;
    const metrics = {
      connections: (open: number) => void this.#connections.set(name, open),
      rejected: () => undefined,
    };
    const limits = limitsOf(settings);
    const memory = this.#memory;
    const server = kmipServer({ ...parts, protocol, limits, log: fieldsLog(log, "listen"), metrics, memory });
    await server.listen(port, settings.listenAddress === "::" ? undefined : settings.listenAddress);
    return { name, server };
  }
}

function limitsOf({ connectionsMax, connectionsPerAddressMax }: Settings): Partial<ListenLimits> {
  return {
    ...(connectionsMax === undefined ? {} : { connectionsMax }),
    ...(connectionsPerAddressMax === undefined ? {} : { connectionsPerAddressMax }),
  };
}

type DoorTls = Readonly<Record<Interface["name"], TlsParts>>;

function hasAuthorities(tls: TlsParts): boolean {
  return tls.clientAuthorities.includes("-----BEGIN CERTIFICATE-----");
}
