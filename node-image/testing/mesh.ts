import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Keyring } from "../keys/types.ts";
import type { Change } from "../objects/types.ts";
import { applyMeshConfiguration } from "../postgres/mesh-configuration.ts";
import { startReplication } from "../replication/replication.ts";
import type { HandoverAnswer, MeshMember, MeshTls, Replication, ReplicationOptions } from "../replication/types.ts";
import { openStore } from "../store/store.ts";
import type { NodeStore } from "../store/types.ts";
import { type Authority, siteAuthority } from "./authority.ts";
import { startPostgres, type TestPostgres, type TestPostgresOptions } from "./postgres.ts";

/** One node of a test's mesh, without KMIP: PostgreSQL, store and replication over real mutual TLS on loopback. */
export interface MeshNode {
  readonly member: MeshMember;
  readonly tls: MeshTls;
  readonly postgres: TestPostgres;
  readonly store: NodeStore;
  /** Starts replication with these members; again with others updates it. */
  join(members: readonly MeshMember[], options?: Partial<ReplicationOptions>): Promise<Replication>;
  stop(): Promise<void>;
}

interface CertificateSubject {
  readonly site: string;
  readonly name: string;
  readonly lifeMs?: number;
}

/** Makes certificates for one fleet and starts nodes of it. */
export interface MeshFleet {
  readonly keyring: Keyring;
  start(name: string, site: string, options?: TestPostgresOptions): Promise<MeshNode>;
  /** A certificate of a site's authority for any name; good for a week, or for as long as is said. */
  certificate(site: string, subject: CertificateSubject): Promise<MeshTls>;
  stop(): Promise<void>;
}

/** A fleet named "bank" of the given sites. */
export async function meshFleet(sites: readonly string[], keyring: Keyring): Promise<MeshFleet> {
  const authorities = new Map<string, Authority>();
  for (const site of sites) authorities.set(site, await siteAuthority("bank", site));
  const trustBundlePem = [...authorities.values()].map((authority) => authority.certificatePem).join("");
  const nodes: MeshNode[] = [];
  const certificate = async (site: string, subject: CertificateSubject): Promise<MeshTls> => {
    const authority = authorities.get(site);
    if (authority === undefined) throw new Error(`no site ${site}`);
    const name = [{ O: ["bank"] }, { OU: [subject.site] }, { CN: [subject.name] }];
    const issued = await authority.issue(name, subject.lifeMs);
    return { certificateChainPem: issued.certificatePem, privateKeyPem: issued.keyPem, trustBundlePem };
  };
  return {
    keyring,
    certificate,
    start: async (name, site, options = {}) => {
      const node = await startMeshNode({ name, site, tls: await certificate(site, { site, name }), keyring, options });
      nodes.push(node);
      return node;
    },
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}

/** Starts one node of a mesh with a certificate that was made for it. */
export async function startMeshNode(parts: {
  readonly name: string;
  readonly site: string;
  readonly tls: MeshTls;
  readonly keyring: Keyring;
  readonly options: TestPostgresOptions;
}): Promise<MeshNode> {
  const { name, site, tls, keyring } = parts;
  const postgres = await startPostgres(parts.options);
  const { socketDirectory, port } = postgres;
  const log = () => undefined;
  const store = await openStore({ socketDirectory, port, keyring, nowMs: () => Date.now(), log });
  const identity = `CN=${name},OU=${site},O=bank`;
  const member: MeshMember = {
    name,
    site,
    identity,
    address: "127.0.0.1",
    meshPort: port,
    standing: "Member",
    incarnation: store.incarnation,
  };
  let replication: Replication | undefined;
  return {
    member,
    tls,
    postgres,
    store,
    join: async (members, options = {}) => {
      await applyMeshConfiguration({ directory: postgres.confDirectory, socketDirectory, port, tls, members });
      if (replication !== undefined) {
        replication.updatePeers(members, tls);
        return replication;
      }
      replication = startReplication({
        store,
        self: { name, site, identity },
        members,
        tls,
        durability: "EverySite",
        wrapFor: async (): Promise<HandoverAnswer> => ({ refusal: "not a joiner" }),
        nowMs: () => performance.now(),
        log,
        ...options,
      });
      return replication;
    },
    stop: async () => {
      await replication?.stop();
      await store.close();
      await postgres.stop();
    },
  };
}

/** A new object with a name. */
export function aCreate(name = "key", owner = "CN=app"): Change & { readonly kind: "create" } {
  return {
    kind: "create",
    id: randomUUID(),
    owner,
    objectType: 2,
    sealed: randomBytes(60),
    facts: 0,
    attributes: { Name: [{ value: name, type: 1 }], "Cryptographic Length": [256] },
  };
}

/** Waits until the condition holds; fails with the sentence after the time. */
export async function until(
  sentence: string,
  holds: () => boolean | Promise<boolean>,
  withinMs = 5_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${sentence}`);
    await delay(10);
  }
}
