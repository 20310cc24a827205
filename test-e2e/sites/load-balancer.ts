/** A Service, as far as its address goes. */
export interface Service {
  readonly metadata: { readonly namespace: string; readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly type?: string; readonly loadBalancerIP?: string };
  readonly status?: { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string }[] } };
}

/** An address for a Service; `path` is the Service's in the API. */
export interface Assignment {
  readonly path: string;
  readonly ip: string;
}

const lastHost = 250;

/**
 * Addresses for the LoadBalancer Services that have none: the one asked for when it is free and in the range, else the
 * lowest free one. A Service keeps its address as long as it lives, because the address is kept in its own status.
 */
export function assignAddresses(services: readonly Service[], prefix: string): Assignment[] {
  const balanced = services.filter((service) => service.spec.type === "LoadBalancer");
  const used = new Set(balanced.flatMap((service) => addresses(service)));
  return balanced.flatMap((service) => {
    if (addresses(service).length > 0 || service.metadata.deletionTimestamp) return [];
    const ip = choose(service.spec.loadBalancerIP, used, prefix);
    if (ip === undefined) return [];
    used.add(ip);
    return [{ path: `/api/v1/namespaces/${service.metadata.namespace}/services/${service.metadata.name}`, ip }];
  });
}

function choose(wanted: string | undefined, used: ReadonlySet<string>, prefix: string): string | undefined {
  const all = Array.from({ length: lastHost }, (_, index) => `${prefix}${index + 1}`);
  const free = all.filter((ip) => !used.has(ip));
  return wanted ? free.find((ip) => ip === wanted) : free[0];
}

function addresses(service: Service): string[] {
  return (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => (ip ? [ip] : []));
}
