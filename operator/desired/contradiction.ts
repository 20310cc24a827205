import type { KmsNode, Observed, SiteView } from "../ports/types.ts";

/**
 * Whether what a node of another site says of itself is out of date: it says that it has links to members that say that
 * they have none to it. Its own site would correct that, unless its operator went with it: in one Kubernetes with several
 * zones the API server still answers then. A node that is only cut off says itself that its links are down.
 */
export function isContradicted(observed: Observed, node: KmsNode): boolean {
  const own = servingAt(observed, ({ name }) => name === observed.site);
  const said = servingAt(observed, ({ name, reachable }) => name !== node.spec.site && reachable)
    .filter((other) => !isOld(other, own))
    .flatMap((other) => {
      const link = linkOf(other, node);
      return link === undefined ? [] : [{ up: link, claimed: linkOf(node, other) === true }];
    });
  return said.length > 0 && said.every(({ up }) => !up) && said.some(({ claimed }) => claimed);
}

/**
 * Whether what a node says is old, as far as this site's own nodes can tell: a site that has just come back shows what was
 * so before it went, and would bear witness for others that have died meanwhile.
 */
function isOld(node: KmsNode, own: readonly KmsNode[]): boolean {
  return !own.some((one) => one === node || linkOf(one, node)) && own.some((one) => linkOf(node, one));
}

/** Whether a node that serves says that it has a link to the one of that name. */
export function isReached(observed: Observed, name: string): boolean {
  const others = servingAt(observed, ({ reachable }) => reachable);
  return others.some(({ status }) => status?.peers?.some((peer) => peer.name === name && peer.connected));
}

function servingAt({ sites }: Observed, isMeant: (site: SiteView) => boolean): readonly KmsNode[] {
  return sites.filter(isMeant).flatMap(({ nodes }) => nodes.filter(serves));
}

/** Whether a node says that it has a link to the other; undefined when it says nothing of that one. */
function linkOf(node: KmsNode, { metadata }: KmsNode): boolean | undefined {
  return node.status?.peers?.find(({ name }) => name === metadata.name)?.connected;
}

function serves({ status }: KmsNode): boolean {
  return status?.conditions?.some((one) => one.type === "Serving" && one.status === "True") ?? false;
}
