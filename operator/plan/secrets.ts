import { certificateDoors, certificateSecret } from "../desired/containers.ts";
import type { NodeFacts } from "../desired/facts.ts";
import { resolvedSettings } from "../desired/settings.ts";
import type { Blocked, View } from "./types.ts";

/** What the next pod of a node of this site would not start without; the one that runs has what it needs. */
export function missingSecrets(view: View, node: NodeFacts): Blocked[] {
  const pin = missingPin(view, node);
  return [...missingCertificates(view, node), ...(pin === undefined ? [] : [pin])];
}

/** The Secret with the PIN of a node of this site, when it is missing or lacks its key. */
export function missingPin(view: View, node: NodeFacts): Blocked | undefined {
  const reference = resolvedSettings(view.observed.cluster, node).hsm.pinSecretRef;
  if (!node.local || node.external || reference === undefined) return undefined;
  const { name, key = "pin" } = reference;
  const found = view.observed.references.get(`Secret/${name}`);
  const create = `kubectl -n ${namespaceOf(view)} create secret generic ${name} --from-file=${key}=FILE in site ${node.site}`;
  const closed = { gate: "referencesPresent", subject: node.name } as const;
  if (!found?.present) return { ...closed, message: `Secret ${name} with the PIN is missing`, remedy: create };
  if (found.keys.includes(key)) return undefined;
  return { ...closed, message: `Secret ${name} has no key ${key}`, remedy: `add the key with the PIN: ${create}` };
}

/** The Secrets with certificates for the interfaces of a node of this site that are missing or lack a key. */
export function missingCertificates(view: View, node: NodeFacts): Blocked[] {
  if (!node.local || node.external) return [];
  const settings = resolvedSettings(view.observed.cluster, node);
  return certificateDoors.flatMap((door): Blocked[] => {
    const name = certificateSecret(settings, door);
    if (name === undefined) return [];
    const found = view.observed.references.get(`Secret/${name}`);
    const lacking = ["tls.crt", "tls.key"].filter((key) => !found?.keys.includes(key));
    if (found?.present && lacking.length === 0) return [];
    const what = found?.present ? `has no key ${lacking.join(" and ")}` : "is missing";
    return [
      {
        ...{ gate: "referencesPresent", subject: node.name },
        message: `Secret ${name} with the certificate of interfaces.${door} ${what}`,
        remedy: `kubectl -n ${namespaceOf(view)} create secret tls ${name} --cert=FILE --key=FILE in site ${node.site}, or take interfaces.${door}.certificateSecretRef out`,
      },
    ];
  });
}

function namespaceOf({ observed }: View): string {
  return observed.cluster.metadata.namespace ?? "default";
}
