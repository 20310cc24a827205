import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { KmsCluster } from "@keyfleet/crds/kms-cluster.ts";
import { parse } from "yaml";
import { until } from "./await.ts";
import { clusterAt } from "./fleet.ts";
import { cluster, namespace, type Place, root } from "./places.ts";

/** What of a KmsCluster people write. */
export type Document = Pick<KmsCluster, "apiVersion" | "kind" | "metadata" | "spec">;

/**
 * The document in examples/. On the local sites it is applied as it is; existing clusters (SITES) give their own names to
 * the sites and nodes, and NTP_SERVERS names their time servers.
 */
export function exampleText(place: Place): string {
  const text = readFileSync(join(root, "examples/kmscluster.yaml"), "utf8");
  if (process.env.SITES === undefined) return text;
  const named = place.sites.names.reduce((so, site, index) => so.replaceAll(`dc${index + 1}`, site), text);
  const servers = process.env.NTP_SERVERS;
  return servers === undefined ? named : named.replace(/servers: \[[^\]]*\]/, `servers: [${servers}]`);
}

/** The same, read. */
export function exampleDocument(place: Place): Document {
  return parse(exampleText(place));
}

/** `kubectl apply` in one site, as a user does; throws with what the API server says when it refuses. */
export async function applyDocument(place: Place, site: string, document: Document): Promise<void> {
  await place.sites.kubectl(site, ["apply", "-f", "-"], JSON.stringify(document));
}

/** Waits until the operators of all sites hold the document that was applied in one. */
export async function waitForCopies(place: Place, deadlineMs = 30_000): Promise<void> {
  const look = () => Promise.all(place.sites.names.map(async (site) => (await clusterAt(place, site)).spec));
  const same = (specs: readonly unknown[]) => new Set(specs.map((spec) => JSON.stringify(spec))).size === 1;
  await until(look, same, { what: "every site has the document", deadlineMs });
}

const mostEdits = 5;

/** `kubectl edit` in one site: changes the document as it stands there; once more when an operator wrote at that moment. */
export async function editDocument(
  place: Place,
  site: string,
  change: (spec: KmsCluster["spec"]) => void,
  left = mostEdits,
): Promise<void> {
  const { apiVersion, kind, metadata, spec } = await clusterAt(place, site);
  change(spec);
  const { labels = {}, annotations = {}, finalizers = [] } = metadata;
  const edited = { apiVersion, kind, metadata: { name: cluster, namespace, labels, annotations, finalizers }, spec };
  await place.sites.kubectl(site, ["replace", "-f", "-"], JSON.stringify(edited)).catch((error: Error) => {
    if (left <= 1 || !error.message.includes("Error from server (Conflict)")) throw error;
    return editDocument(place, site, change, left - 1);
  });
}
