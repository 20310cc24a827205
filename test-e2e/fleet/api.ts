import { namespace, type Place } from "./places.ts";

/** Resources of the fleet's namespace, with the path of their API. */
const apis = {
  kmsclusters: "apis/keyfleet.io/v1alpha1",
  kmsnodes: "apis/keyfleet.io/v1alpha1",
  leases: "apis/coordination.k8s.io/v1",
  pods: "api/v1",
  roles: "apis/rbac.authorization.k8s.io/v1",
} as const;

type Resource = keyof typeof apis;

/** One object at a site; rejects when there is none. */
export async function objectAt<Kind>(place: Place, site: string, resource: Resource, name: string): Promise<Kind> {
  return JSON.parse(await place.sites.read(site, `${pathOf(resource)}/${name}`)) as Kind;
}

/** All objects of a kind at a site, or those with a label. */
export async function objectsAt<Kind>(place: Place, site: string, resource: Resource, label?: string): Promise<Kind[]> {
  const selector = label === undefined ? "" : `?labelSelector=${encodeURIComponent(label)}`;
  return (JSON.parse(await place.sites.read(site, `${pathOf(resource)}${selector}`)) as { items: Kind[] }).items;
}

/** What a port of a pod answers at a path. */
export function answerOf(place: Place, site: string, pod: string, path: string): Promise<string> {
  return place.sites.read(site, `${pathOf("pods")}/${pod}/proxy/${path}`);
}

function pathOf(resource: Resource): string {
  return `/${apis[resource]}/namespaces/${namespace}/${resource}`;
}
