import type { KmsNodeSpec, NodeSettings } from "@keyfleet/crds/kms-node.ts";
import type { KubernetesObject, Observed } from "../ports/types.ts";
import { type NodeFacts, objectOf } from "./facts.ts";

/** An interface that others reach from outside. */
export type Door = "kmip" | "mesh";

/** The ports of the standards: KMIP (IANA 5696) and PostgreSQL. */
export const standardPorts: Readonly<Record<Door, number>> = { kmip: 5696, mesh: 5432 };

/** How the node is exposed; LoadBalancer unless the settings say otherwise. */
export function exposureType(settings: NodeSettings): "LoadBalancer" | "NodePort" | "HostNetwork" {
  return settings.exposure?.type ?? "LoadBalancer";
}

/** Port that the settings ask for, or the standard's. */
export function wantedPort(settings: NodeSettings, door: Door): number {
  return settings.interfaces?.[door]?.port ?? standardPorts[door];
}

/** Port on which the pod listens: Services map theirs to the standard's, on the machine's own network there is none to map. */
export function insidePort(settings: NodeSettings, door: Door): number {
  return exposureType(settings) === "HostNetwork" ? wantedPort(settings, door) : standardPorts[door];
}

/** The part of a Service that depends on how the node is exposed. */
export function serviceSpec(settings: NodeSettings, door: Door): Readonly<Record<string, unknown>> {
  const type = exposureType(settings);
  const asked = settings.interfaces?.[door]?.port;
  const port = { name: door, port: wantedPort(settings, door), targetPort: door, protocol: "TCP" };
  const own =
    type === "NodePort"
      ? { ...port, port: standardPorts[door], ...(asked === undefined ? {} : { nodePort: asked }) }
      : port;
  const ports = door === "kmip" ? [own, httpsPort(settings)] : [own];
  return { type: type === "HostNetwork" ? "ClusterIP" : type, ports };
}

/** KMIP over HTTPS has no port of the pod's own to map to: the node listens where its settings say. */
function httpsPort(settings: NodeSettings): Readonly<Record<string, unknown>> {
  const port = settings.interfaces?.rest?.port ?? 8443;
  return { name: "rest", port, targetPort: port, protocol: "TCP" };
}

type Reached = Pick<KmsNodeSpec, "address" | "clientAddress" | "meshPort" | "clientPort">;

/** Where peers and clients reach a node; what cannot be seen now stays as it was known last. */
export function reachedAt(observed: Observed, node: NodeFacts, settings: NodeSettings): Reached {
  const before = node.node?.spec;
  if (node.external) return reachedOutside(node.entry?.address ?? before?.address, settings);
  const mesh = placeOf(observed, node.name, { settings, door: "mesh" });
  const kmip = placeOf(observed, node.name, { settings, door: "kmip" });
  const address = mesh.address ?? before?.address;
  const clientAddress = kmip.address ?? before?.clientAddress;
  const meshPort = mesh.port ?? before?.meshPort;
  const clientPort = kmip.port ?? before?.clientPort;
  return {
    ...(address === undefined ? {} : { address }),
    ...(clientAddress === undefined ? {} : { clientAddress }),
    ...(meshPort === undefined || meshPort === standardPorts.mesh ? {} : { meshPort }),
    ...(clientPort === undefined || clientPort === standardPorts.kmip ? {} : { clientPort }),
  };
}

/** An External node listens at the address that its administrator gave it. */
function reachedOutside(address: string | undefined, settings: NodeSettings): Reached {
  const [meshPort, clientPort] = [wantedPort(settings, "mesh"), wantedPort(settings, "kmip")];
  return {
    ...(address === undefined ? {} : { address, clientAddress: address }),
    ...(meshPort === standardPorts.mesh ? {} : { meshPort }),
    ...(clientPort === standardPorts.kmip ? {} : { clientPort }),
  };
}

interface Place {
  readonly address: string | undefined;
  readonly port: number | undefined;
}

function placeOf(
  observed: Observed,
  node: string,
  { settings, door }: { readonly settings: NodeSettings; readonly door: Door },
): Place {
  const service = objectOf(observed, "Service", `${node}-${door}`);
  switch (exposureType(settings)) {
    case "LoadBalancer":
      return { address: loadBalancerAddress(service), port: wantedPort(settings, door) };
    case "NodePort":
      return { address: machineAddress(observed, node), port: nodePort(service) };
    case "HostNetwork":
      return { address: machineAddress(observed, node), port: wantedPort(settings, door) };
  }
}

function loadBalancerAddress(service: KubernetesObject | undefined): string | undefined {
  const status = service?.status as { loadBalancer?: { ingress?: { ip?: string; hostname?: string }[] } } | undefined;
  const first = status?.loadBalancer?.ingress?.[0];
  return first?.ip ?? first?.hostname;
}

/** Of the machine that runs the pod: a node port is open on every machine, but this one is up when the node is. */
function machineAddress(observed: Observed, node: string): string | undefined {
  const pod = objectOf(observed, "Pod", `${node}-0`);
  return (pod?.status as { hostIP?: string } | undefined)?.hostIP;
}

function nodePort(service: KubernetesObject | undefined): number | undefined {
  const spec = service?.spec as { ports?: { nodePort?: number }[] } | undefined;
  return spec?.ports?.[0]?.nodePort;
}
