import type { KmsNode, Observed } from "../ports/types.ts";

/**
 * Whether what a node of another site says of itself is out of date: it says that it has links to members that say that
 * they have none to it. Its own site would correct that, unless its operator went with it: in one Kubernetes with several
 * zones the API server still answers then. A node that is only cut off says itself that its links are down.
 */
export function isContradicted(observed: Observed, node: KmsNode): boolean {
  const links = new Map(node.status?.peers?.map(({ name, connected }) => [name, connected]));
  const said = observed.sites
    .filter(({ name, reachable }) => name !== node.spec.site && reachable)
    .flatMap(({ nodes }) => nodes.filter(serves))
    .flatMap((other) => {
      const link = other.status?.peers?.find(({ name }) => name === node.metadata.name);
      return link === undefined ? [] : [{ up: link.connected, claimed: links.get(other.metadata.name) === true }];
    });
  return said.length > 0 && said.every(({ up }) => !up) && said.some(({ claimed }) => claimed);
}

/** Whether a node that serves says that it has a link to the one of that name. */
export function isReached({ sites }: Observed, name: string): boolean {
  const others = sites.filter(({ reachable }) => reachable).flatMap(({ nodes }) => nodes.filter(serves));
  return others.some(({ status }) => status?.peers?.some((peer) => peer.name === name && peer.connected));
}

function serves({ status }: KmsNode): boolean {
  return status?.conditions?.some((one) => one.type === "Serving" && one.status === "True") ?? false;
}
