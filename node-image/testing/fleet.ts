import { randomInt } from "node:crypto";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import type { KmsNodeSpec, Member } from "@keyfleet/crds/kms-node.ts";
import { operatorName } from "../health/status-server.ts";
import { type Authority, clientAuthority, siteAuthority } from "./authority.ts";
import type { Identity } from "./certificates.ts";
import { FleetNode, type FleetNodeOptions } from "./fleet-node.ts";
import { type ClientParts, connectKmip, type KmipClient } from "./kmip-client.ts";
import { refuseLeaks } from "./leak-search.ts";
import { scratchFolder } from "./scratch-folder.ts";
import { startTimeServer, type TimeServer } from "./time-server.ts";

const cluster = "bank";

/** Where a fleet lives, when not on loopback addresses of this machine's own network. */
export interface FleetOptions {
  /** First three parts of all addresses: node n has n as the last one, the time server 254. */
  readonly network?: string;
  /** Made when it is not there, removed at the end. */
  readonly folder?: string;
  /** Asked when a node is added, before anything of it is made. */
  readonly nodeOptions?: (
    name: string,
    parts: { readonly address: string; readonly folder: string },
  ) => Pick<FleetNodeOptions, "enter" | "heard" | "local">;
}

/** What a fleet's documents say at a moment; see `Fleet.documents`. */
export interface FleetDocuments {
  readonly members: readonly Member[];
  readonly specs: ReadonlyMap<string, KmsNodeSpec>;
}

/** A fleet of processes on this machine; the test is its operator. */
export class Fleet {
  readonly nodes = new Map<string, FleetNode>();
  readonly timeServer: TimeServer;
  /** The CA whose certificates may speak KMIP. */
  readonly clients: Authority;
  readonly #authorities = new Map<string, Authority>();
  readonly #clients = new Map<string, Awaited<ReturnType<Authority["issue"]>>>();
  readonly #members: Member[] = [];
  readonly #options: FleetOptions;
  readonly #folder: string;
  readonly #network: string;
  #clusterId: string | undefined;

  private constructor(parts: { network: string; timeServer: TimeServer; clients: Authority; options: FleetOptions }) {
    this.#network = parts.network;
    this.timeServer = parts.timeServer;
    this.clients = parts.clients;
    this.#options = parts.options;
    this.#folder = parts.options.folder ?? scratchFolder(tmpdir(), "keyfleet-fleet-");
  }

  static async start(options: FleetOptions = {}): Promise<Fleet> {
    // A network of its own among the loopback addresses, so that fleets of several tests do not meet.
    const network = options.network ?? `127.${randomInt(2, 250)}.${randomInt(1, 255)}`;
    return new Fleet({
      network,
      timeServer: await startTimeServer(`${network}.254`),
      clients: await clientAuthority(),
      options,
    });
  }

  get members(): readonly Member[] {
    return this.#members;
  }

  /** What all documents say now; given back to `restore` it is said again. */
  documents(): FleetDocuments {
    return {
      members: [...this.#members],
      specs: new Map([...this.nodes].map(([name, node]) => [name, node.spec])),
    };
  }

  /** Writes the documents of before; the nodes must not run, and what they hold must be of before too. */
  restore(documents: FleetDocuments): void {
    this.#members.splice(0, this.#members.length, ...documents.members);
    for (const [name, spec] of documents.specs) this.node(name).edit(spec);
  }

  /** Starts a node (its site is the name up to the dash) and waits until it is certified and told to do nothing. */
  async add(name: string, local: Readonly<Record<string, unknown>> = {}): Promise<FleetNode> {
    const site = name.split("-")[0] ?? name;
    const authority = this.#authorities.get(site) ?? (await siteAuthority(cluster, site));
    this.#authorities.set(site, authority);
    const address = `${this.#network}.${this.nodes.size + 1}`;
    const folder = join(this.#folder, name);
    const node = new FleetNode({
      name,
      site,
      cluster,
      version: softwareVersion(),
      address,
      timeServer: this.timeServer.address,
      folder,
      local,
      ...this.#options.nodeOptions?.(name, { address, folder }),
    });
    this.nodes.set(name, node);
    node.edit({ clients: { caBundle: this.clients.certificatePem, administrators: [] } });
    node.start();
    await this.certify(node);
    this.#distribute();
    return node;
  }

  /** Signs what the node asks for in its status. */
  async certify(node: FleetNode, lifeMs?: number): Promise<void> {
    const request = await node.reached("a certificate request", (status) => status.certificateRequest);
    node.edit({ certificateChain: await this.#authority(node).sign(request, [node.address], lifeMs) });
    this.#distribute();
    await node.reachedCondition("Certificates", "True");
  }

  /** Signs it as an operator does whose clock is so much ahead; waits for nothing. */
  async certifyAhead(node: FleetNode, aheadMs: number): Promise<void> {
    const request = await node.reached("a certificate request", (status) => status.certificateRequest);
    node.edit({ certificateChain: await this.#authority(node).sign(request, [node.address], undefined, aheadMs) });
  }

  async found(name: string): Promise<void> {
    const node = this.node(name);
    await ready(node);
    this.#admit(node, "Member");
    node.edit({ membership: { action: "Found" } });
    this.#clusterId = await node.reached("a cluster id", (status) => status.clusterId);
    await this.#makeMember(node);
  }

  async join(name: string, sponsor: string): Promise<void> {
    const node = this.node(name);
    await ready(node);
    await this.beginJoin(name, sponsor);
    await node.reachedCondition("Replicating", "True", "CaughtUp");
    await this.#makeMember(node);
  }

  /** Lists it as Joining everywhere and tells it to join; waits for nothing. */
  async beginJoin(name: string, sponsor: string): Promise<void> {
    const node = this.node(name);
    this.#admit(node, "Joining", await node.reached("a join key", (status) => status.joinPublicKey));
    node.edit({ membership: { action: "Join", sponsor } });
    this.#distribute();
  }

  /** Changes what all nodes know of a member, as the operator does in a removal. */
  list(name: string, change: Partial<Pick<Member, "standing" | "lastSequence" | "incarnation">>): void {
    const index = this.#members.findIndex((member) => member.name === name);
    this.#members[index] = { ...(this.#members[index] as Member), ...change };
    this.#distribute();
  }

  /** A KMIP connection to a node; the same client name is the same caller everywhere. */
  async connect(nodeName: string, clientName = "app", timeoutMs = 10_000): Promise<KmipClient> {
    return connectKmip({ ...(await this.access(nodeName, clientName)), timeoutMs });
  }

  /** Where a node's KMIP is and with which certificates a client of that name speaks to it. */
  async access(nodeName: string, clientName = "app"): Promise<ClientParts & { host: string; identity: Identity }> {
    const node = this.node(nodeName);
    const issued = this.#clients.get(clientName) ?? (await this.clients.issue([{ CN: [clientName] }]));
    this.#clients.set(clientName, issued);
    const identity = { certificate: issued.certificatePem, key: issued.keyPem };
    return { host: node.address, port: node.kmipPort, authority: this.#authority(node).certificatePem, identity };
  }

  /** GET /status of a node as the operator of a site asks for it; rejects when there is no connection. */
  async askStatus(nodeName: string, site: string): Promise<{ readonly code: number; readonly body: unknown }> {
    const node = this.node(nodeName);
    const subject = [{ O: [cluster] }, { OU: [site] }, { CN: [operatorName] }];
    const authority = this.#authorities.get(site) ?? (await siteAuthority(cluster, site));
    const { certificatePem: cert, keyPem: key } = await authority.issue(subject);
    const place = { host: node.address, port: 8444, path: "/status", agent: false as const };
    const outgoing = request({ ...place, cert, key, ca: this.#authority(node).certificatePem });
    outgoing.end();
    const [response] = (await once(outgoing, "response")) as [IncomingMessage];
    return { code: response.statusCode ?? 0, body: await json(response) };
  }

  /** Last sequence of each origin's log that a node holds, from its metrics. */
  async vector(nodeName: string): Promise<Readonly<Record<string, number>>> {
    const text = await (await fetch(`${this.node(nodeName).healthUrl}/metrics`)).text();
    const found = text.matchAll(/^keyfleet_log_sequence\{origin="([^"]+)"\} (\d+)$/gm);
    return Object.fromEntries([...found].map((match) => [match[1], Number(match[2])]).sort());
  }

  node(name: string): FleetNode {
    const node = this.nodes.get(name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  /** Ends every process and removes every file. Rejects if a node wrote a key that a client sent or got, or a PIN. */
  async stop(): Promise<void> {
    const nodes = [...this.nodes.values()];
    const metrics = await Promise.all(
      nodes.map(async (node) => [`the metrics of ${node.name}`, await node.metrics()] as const),
    );
    await Promise.all(nodes.map((node) => node.killAll()));
    this.timeServer.close();
    const shown = nodes.map((node) => node.shown());
    this.#removeFiles();
    const texts = shown.flatMap((each) => each.texts);
    refuseLeaks(
      [...metrics, ...texts],
      shown.flatMap(({ leaks }) => leaks),
    );
  }

  #removeFiles(): void {
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }

  async #makeMember(node: FleetNode): Promise<void> {
    const incarnation = await node.reached("an incarnation", (status) => status.incarnation);
    const index = this.#members.findIndex((member) => member.name === node.name);
    const { joinPublicKey: _, ...member } = this.#members[index] as Member;
    this.#members[index] = { ...member, standing: "Member", incarnation };
    node.edit({ membership: { action: "Member" } });
    this.#distribute();
    await node.reachedCondition("Serving", "True");
  }

  #admit(node: FleetNode, standing: "Joining" | "Member", joinPublicKey?: string): void {
    const { name, site, address } = node;
    const member: Member = { name, site, address, identity: `CN=${name},OU=${site},O=${cluster}`, standing };
    const others = this.#members.filter((each) => each.name !== name);
    this.#members.splice(0, Infinity, ...others, joinPublicKey === undefined ? member : { ...member, joinPublicKey });
  }

  #authority(node: FleetNode): Authority {
    const authority = this.#authorities.get(node.site);
    if (authority === undefined) throw new Error(`no CA for ${node.site}`);
    return authority;
  }

  /** Every node's document has the same members, trust bundle and cluster. */
  #distribute(): void {
    const trustBundle = [...this.#authorities.values()].map((authority) => authority.certificatePem).join("");
    for (const node of this.nodes.values()) {
      node.edit({
        members: this.#members,
        trustBundle,
        ...(this.#clusterId === undefined ? {} : { clusterId: this.#clusterId }),
      });
    }
  }
}

async function ready(node: FleetNode): Promise<void> {
  await node.reachedCondition("RootOfTrust", "True");
  await node.reachedCondition("TimeSynchronised", "True");
}

/** The version of this checkout's node. */
export function softwareVersion(): string {
  return (JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }).version;
}
