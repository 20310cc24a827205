import { makeSiteCa } from "../../operator/act/site-ca.ts";
import type { KmsCluster, KmsNode, KubernetesObject } from "../../operator/ports/types.ts";
import { aCluster } from "../../operator/testing/builders.ts";
import { requestsFor } from "../../operator/testing/certificate-requests.ts";
import { anObject, type FakeCluster } from "../../operator/testing/fake-cluster.ts";
import type { Simulation } from "../../operator/testing/simulation.ts";

/** What a StatefulSet's controller says where nobody plays one. */
export const newest = { updateRevision: "newest" };

/** A kubeconfig Secret of a peer site. */
export function addPeer(api: FakeCluster | undefined, site: string, kubeconfig: string): void {
  const metadata = { labels: { "keyfleet.io/site": site } };
  const data = { kubeconfig: Buffer.from(kubeconfig).toString("base64") };
  api?.put(anObject("Secret", `peer-${site}`, { metadata, data }));
}

/**
 * The same fleet once more under names of its own: what the sites of `own`, whose operators run, have of it, and what the
 * others show of it. Answers its name.
 */
export async function addFleet(
  sites: ReadonlyMap<string, FakeCluster>,
  fleet: Simulation,
  { at, own }: { readonly at: string; readonly own: readonly string[] },
): Promise<string> {
  const name = `bank-${at}`;
  const renamed = <T>(value: T): T =>
    JSON.parse(
      JSON.stringify(value)
        .replace(/\bdc(\d)-([a-h])\b/g, `dc$1-$2-${at}`)
        .replace(/\bbank\b/g, name),
    );
  for (const site of fleet.sites) {
    const ca = await makeSiteCa({ cluster: name, site: site.name }, Date.now());
    const api = sites.get(site.name) as FakeCluster;
    const nodes = [...site.nodes.values()].map(renamed);
    const isOwn = own.includes(site.name);
    api.put(withCa(renamed(site.cluster), site.name, ca.certificate));
    for (const node of isOwn ? withRequests(name, site.name, nodes) : nodes) api.put(node as never);
    if (!isOwn) continue;
    for (const object of [...site.objects.values()].map(renamed)) api.put(labelled(object, name));
    const data = { "tls.crt": encoded(ca.certificate), "ca.key": encoded(ca.key) };
    const labels = { "keyfleet.io/cluster": name };
    api.put(anObject("Secret", `keyfleet-${name}-ca`, { metadata: { labels }, type: "Opaque", data }));
    api.put(anObject("Secret", "hsm-pin", { data: { pin: encoded("0000") } }));
    api.put(anObject("ConfigMap", `${name}-clients`, { data: { "ca.crt": ca.certificate } }));
  }
  return name;
}

function withCa(cluster: KmsCluster, site: string, caCertificate: string): KubernetesObject {
  const { finalizers: _none, ...metadata } = cluster.metadata as KubernetesObject["metadata"];
  const siteStatus = [{ name: site, reachable: true, caCertificate }];
  return { ...cluster, metadata, status: { ...cluster.status, siteStatus } } as unknown as KubernetesObject;
}

/** Nodes that ask for a certificate in their own names. */
function withRequests(cluster: string, site: string, nodes: readonly KmsNode[]): KmsNode[] {
  const asking = aCluster((one) => {
    one.metadata.name = cluster;
    one.spec.sites = [
      { name: site, environment: "OnPremises", nodes: nodes.map(({ metadata }) => ({ name: metadata.name })) },
    ];
  });
  const requests = requestsFor(asking);
  return nodes.map((node) => {
    const certificateRequest = requests.get(node.metadata.name) ?? "";
    return { ...node, status: { ...node.status, certificateRequest } } as KmsNode;
  });
}

/** Revisions are digests in a real one, and pods have the labels of their StatefulSet. */
function labelled(object: KubernetesObject, cluster: string): KubernetesObject {
  const labels = { ...object.metadata.labels, "keyfleet.io/cluster": cluster };
  const isPod = object.kind === "Pod";
  const metadata = { ...object.metadata, labels: isPod ? { ...labels, "controller-revision-hash": "newest" } : labels };
  return { ...object, metadata, ...(object.kind === "StatefulSet" && { status: newest }) };
}

function encoded(value: string | Buffer | undefined): string {
  return Buffer.from(value ?? "").toString("base64");
}
