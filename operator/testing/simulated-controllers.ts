import type { KubernetesObject } from "../ports/types.ts";
import { isReady } from "./simulated-node.ts";
import type { SimulatedSite } from "./simulated-site.ts";
import { textOf } from "./text-of.ts";

/** The site's own controllers: addresses for Services, pods for StatefulSets. */
export function controllersWork(site: SimulatedSite): void {
  for (const object of [...site.objects.values()]) {
    const { kind, metadata } = object;
    if (kind === "Service" && object.status === undefined) {
      const status = { loadBalancer: { ingress: [{ ip: addressOf(metadata.name) }] } };
      site.objects.set(`Service/${metadata.name}`, { ...object, status });
    }
    if (kind === "StatefulSet") statefulSetWorks(site, object);
    if (kind === "Pod" && metadata.labels?.["keyfleet.io/erases"] !== undefined)
      site.objects.set(`Pod/${metadata.name}`, { ...object, status: { phase: "Succeeded" } });
  }
}

/** Whether every pod was made from its StatefulSet as that is now, and is ready. */
export function podsAreCurrent({ objects }: SimulatedSite): boolean {
  const sets = [...objects.values()].filter(({ kind }) => kind === "StatefulSet");
  return sets.every((set) => {
    const { template } = set.spec as { template: object };
    const pod = objects.get(`Pod/${set.metadata.name}-0`);
    return pod?.metadata.labels?.["controller-revision-hash"] === textOf(template) && isReady(pod);
  });
}

function statefulSetWorks(site: SimulatedSite, set: KubernetesObject): void {
  const { name, generation } = set.metadata;
  const { template } = set.spec as { template: { spec: unknown } };
  const updateRevision = textOf(template);
  const status = { observedGeneration: generation, updateRevision };
  site.objects.set(`StatefulSet/${name}`, { ...set, status });
  const claim = `PersistentVolumeClaim/data-${name}-0`;
  if (!site.objects.has(claim))
    site.objects.set(claim, {
      ...{ apiVersion: "v1", kind: "PersistentVolumeClaim", status: { phase: "Bound" } },
      metadata: { name: `data-${name}-0`, labels: { "keyfleet.io/cluster": "bank", "keyfleet.io/node": name } },
    });
  if (site.objects.has(`Pod/${name}-0`)) return;
  const volume = site.volumes.get(name);
  if (volume) Object.assign(volume, { serving: false, running: false });
  const metadata = {
    ...{ name: `${name}-0`, creationTimestamp: site.now() },
    labels: { "controller-revision-hash": updateRevision },
  };
  site.objects.set(`Pod/${name}-0`, { apiVersion: "v1", kind: "Pod", metadata, spec: template.spec, status: {} });
}

/** The same Service gets the same address again, so that nothing depends on the order of allocation. */
function addressOf(service: string): string {
  const sum = [...service].reduce((total, letter) => (total * 31 + letter.charCodeAt(0)) % 65_000, 7);
  return `10.0.${Math.floor(sum / 256)}.${sum % 256}`;
}
