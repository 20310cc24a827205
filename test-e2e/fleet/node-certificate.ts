import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import type { KmsNode } from "@keyfleet/crds/kms-node.ts";
import { run } from "../sites/command.ts";
import { objectAt } from "./api.ts";
import { cluster, namespace, type Place, root } from "./places.ts";

/** The certificate that a node was given by its operator. */
export async function certificateOf(place: Place, node: KmsNode): Promise<X509Certificate> {
  const { spec } = await objectAt<KmsNode>(place, node.spec.site, "kmsnodes", node.metadata.name);
  return new X509Certificate(spec.certificateChain ?? "");
}

/**
 * Gives a node the certificate that its operator would have signed 29 days ago: the same names, key and CA, a day left.
 * Nobody can wait for that. Answers with it.
 */
export async function ageCertificate(place: Place, node: KmsNode): Promise<X509Certificate> {
  const { name } = node.metadata;
  const { spec, status } = await objectAt<KmsNode>(place, node.spec.site, "kmsnodes", name);
  const addresses = [...new Set([spec.address, spec.clientAddress])].map((address) => `IP:${address}`).join();
  const input = [...(await siteCa(place, node.spec.site)), status?.certificateRequest ?? ""].join("\n");
  const { stdout } = await run([join(root, "test-e2e/fleet/aged-certificate.sh"), addresses], { input });
  const patch = JSON.stringify({ spec: { certificateChain: stdout } });
  const words = ["-n", namespace, "patch", "kmsnode", name, "--type=merge", "-p", patch];
  await place.sites.kubectl(node.spec.site, words);
  return new X509Certificate(stdout);
}

/** Certificate and key (PEM) of the CA of a site, which its administrator may read. */
async function siteCa(place: Place, site: string): Promise<string[]> {
  const words = ["-n", namespace, "get", "secret", `keyfleet-${cluster}-ca`, "-o", "json"];
  const { data } = JSON.parse((await place.sites.kubectl(site, words)).stdout) as { data: Record<string, string> };
  const key = `-----BEGIN PRIVATE KEY-----\n${data["ca.key"]}\n-----END PRIVATE KEY-----`;
  return [Buffer.from(data["tls.crt"] ?? "", "base64").toString(), key];
}
