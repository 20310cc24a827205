import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KmsCluster } from "@keyfleet/crds/kms-cluster.ts";
import type { KmsNode } from "@keyfleet/crds/kms-node.ts";
import { answerOf, objectAt, objectsAt } from "./api.ts";
import { until } from "./await.ts";
import type { Call } from "./kmip-clients.ts";
import { cluster, type Place } from "./places.ts";

/** A fleet, and how clients reach it. */
export interface Fleet {
  readonly nodes: readonly KmsNode[];
  readonly endpoints: ReadonlyMap<string, string>;
  readonly call: Call;
}

/** The KmsCluster as a site shows it. */
export async function clusterAt(place: Place, site: string): Promise<KmsCluster> {
  return objectAt(place, site, "kmsclusters", cluster);
}

/** The nodes of a site. */
export async function nodesAt(place: Place, site: string): Promise<KmsNode[]> {
  return objectsAt(place, site, "kmsnodes");
}

/** The nodes of all sites that run; in the order of the sites. */
export async function allNodes(place: Place, sites: readonly string[] = place.sites.names): Promise<KmsNode[]> {
  return (await Promise.all(sites.map((site) => nodesAt(place, site)))).flat();
}

interface WithConditions {
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason: string }[];
}

/** A condition in the status of a node or a cluster; undefined when nothing is said of it. */
export function conditionOf(status: WithConditions | undefined, type: string) {
  return status?.conditions?.find((condition) => condition.type === type);
}

/** Whether a node says that it serves. */
export function isServing(node: KmsNode | undefined): boolean {
  return conditionOf(node?.status, "Serving")?.status === "True";
}

/** Names of the nodes of these sites that run a version and serve. */
export async function servingWith(place: Place, version: string, sites: readonly string[]): Promise<string[]> {
  return (await allNodes(place, sites))
    .filter(({ status }) => status?.version === version)
    .filter(isServing)
    .map(({ metadata }) => metadata.name);
}

/** "4/6 dc1-a joins" of a site, for progress and messages. */
export async function statusLine(place: Place, site: string): Promise<string> {
  const { status } = await clusterAt(place, site);
  return `${status?.nodes ?? "-"} nodes, ${status?.sites ?? "-"} sites: ${status?.message ?? "no status yet"}`;
}

/** Waits until every site says that all nodes serve, and clients reach each of them. */
export async function waitForAllServing(
  place: Place,
  options: { deadlineMs: number; sites?: readonly string[]; tell?: (seen: string) => void },
) {
  const sites = options.sites ?? place.sites.names;
  const look = () => Promise.all(sites.map((site) => statusLine(place, site)));
  const done = (lines: string[]) => lines.every((line) => /^(\d+)\/\1 nodes, (\d+)\/\2 sites/.test(line));
  const { tell } = options;
  await until(look, done, {
    what: "all nodes serve",
    deadlineMs: options.deadlineMs,
    ...(tell === undefined ? {} : { tell: (text) => tell(oneLine(text)) }),
  });
  // A site that just came back may still show what was so before.
  const reach = () => clientsReach(place, sites);
  await until(reach, (missing) => missing === "", { what: "clients reach all nodes", deadlineMs: options.deadlineMs });
}

/** The KMIP endpoints that take no connection of a client; empty when all do. */
async function clientsReach(place: Place, sites: readonly string[]): Promise<string> {
  // HOST PORT pairs; bash opens a TCP connection to each.
  const script =
    'while [ $# -gt 0 ]; do timeout 2 bash -c "exec 3<>/dev/tcp/$1/$2" 2>/dev/null || echo "$1:$2"; shift 2; done';
  const pairs = [...endpoints(await allNodes(place, sites)).values()].flatMap((endpoint) => endpoint.split(":"));
  const { stdout } = await place.sites.exec(["bash", "-c", script, "reach", ...pairs]);
  return stdout.trim();
}

function oneLine(text: string): string {
  try {
    return [...new Set(JSON.parse(text) as string[])].join(" | ");
  } catch {
    return text.split("\n")[0] ?? "";
  }
}

/** KMIP endpoints (HOST:PORT) of nodes, by node name. */
export function endpoints(nodes: readonly KmsNode[]): Map<string, string> {
  return new Map(
    nodes.flatMap(({ metadata, spec }) =>
      spec.clientAddress === undefined ? [] : [[metadata.name, endpointOf(spec)] as const],
    ),
  );
}

/** Where clients reach a node: its own port where it has one, else that of the standard. */
export function endpointOf({ clientAddress, clientPort = 5696 }: KmsNode["spec"]): string {
  return `${clientAddress}:${clientPort}`;
}

/** Writes the CAs of all sites, which KMIP clients trust, to a file and answers with its path. */
export function writeServersCa(place: Place, nodes: readonly KmsNode[]): string {
  const file = join(place.certificates, "servers-ca.crt");
  writeFileSync(file, nodes.find(({ spec }) => spec.trustBundle !== undefined)?.spec.trustBundle ?? "");
  return file;
}

/** What a node's log holds: origin → last sequence, from its metrics. */
export async function vectorOf(place: Place, node: KmsNode): Promise<Record<string, number>> {
  const metrics = await metricsOf(place, node);
  const lines = metrics.matchAll(/^keyfleet_log_sequence\{[^}]*origin="([^"]+)"[^}]*\} (\d+)/gm);
  return Object.fromEntries([...lines].map((match) => [match[1] ?? "", Number(match[2])]).sort());
}

/** The text of a node's /metrics, through its site's API server. */
export async function metricsOf(place: Place, node: KmsNode): Promise<string> {
  return answerOf(place, node.spec.site, `${node.metadata.name}-0:8080`, "metrics");
}

/** Waits until the logs of all nodes are the same. */
export async function waitUntilEqual(
  place: Place,
  nodes: readonly KmsNode[],
  deadlineMs: number,
): Promise<Record<string, number>> {
  const look = () => Promise.all(nodes.map((node) => vectorOf(place, node)));
  const done = (vectors: Record<string, number>[]) =>
    new Set(vectors.map((vector) => JSON.stringify(vector))).size === 1 && Object.keys(vectors[0] ?? {}).length > 0;
  return (await until(look, done, { what: "all nodes hold the same log", deadlineMs }))[0] ?? {};
}
