import { siteCaName } from "../desired/ca-secrets.ts";
import { certificatesIn } from "../desired/certificates.ts";
import type { KmsNode, KubernetesObject } from "../ports/types.ts";
import type { SimulatedSite } from "./simulated-site.ts";

/** The Secret of a site's CA is deleted by hand, or comes back from a backup. */
export function turnCa(site: SimulatedSite): void {
  const name = siteCaName(site.cluster.metadata.name);
  const wasLost = site.lostCa !== undefined;
  putBackCa(site);
  if (wasLost) return;
  site.lostCa = site.objects.get(`Secret/${name}`);
  site.remove("Secret", name);
}

/** Whoever has it puts it back. */
export function putBackCa(site: SimulatedSite): void {
  if (site.lostCa !== undefined) site.objects.set(`Secret/${site.lostCa.metadata.name}`, site.lostCa);
  site.lostCa = undefined;
}

/** What a write of an operator breaks of what is promised about a site's CA; undefined when nothing. */
export function brokenByCa(
  site: SimulatedSite,
  before: KubernetesObject | undefined,
  after: KubernetesObject | undefined,
): string | undefined {
  if (after?.kind === "Secret" && before === undefined) {
    const [user] = [...site.nodes.values()].flatMap((node) => (issuerOf(node) === undefined ? [] : node.metadata.name));
    return user === undefined ? undefined : `another CA is made in ${site.name} while ${user} uses a certificate`;
  }
  if (after?.kind !== "KmsNode") return undefined;
  const node = after as unknown as KmsNode;
  const issuer = issuerOf(node);
  if (issuer === undefined || node.spec.trustBundle?.includes(issuer)) return undefined;
  return `${node.metadata.name} does not trust the CA of its own certificate`;
}

function issuerOf({ spec }: KmsNode): string | undefined {
  return certificatesIn(spec.certificateChain ?? "")[1];
}
