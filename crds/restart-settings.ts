import { createHash } from "node:crypto";
import type { InterfaceSettings, NodeSettings } from "./types/kms-node.ts";

/** Settings that reach a running node only by a restart of its pod. All others are reloaded live. */
export const restartFields = [
  "hsm",
  "resources",
  "placement",
  "interfaces",
  "exposure",
] as const satisfies readonly (keyof NodeSettings)[];

export type RestartField = (typeof restartFields)[number];

/**
 * What a pod is made with, as the operator tells it to the pod and the node compares it with its document: a digest of each
 * field's part that a running pod cannot take, "hsm=0123456789abcdef resources=…". What a digest covers stays as it is: two
 * versions that differ in it would say for ever that a restart is needed.
 */
export function restartDigest(settings: NodeSettings, fields: readonly RestartField[] = restartFields): string {
  return fields.map((field) => `${field}=${digestOf(parts[field](settings))}`).join(" ");
}

/** The fields that differ from a digest; one that the digest does not name differs in nothing. */
export function changedSince(digest: string, settings: NodeSettings): RestartField[] {
  const before = new Map(digest.split(" ").map((each) => each.split("=") as [string, string]));
  const now = new Map(
    restartDigest(settings)
      .split(" ")
      .map((each) => each.split("=") as [string, string]),
  );
  return restartFields.filter((field) => before.has(field) && before.get(field) !== now.get(field));
}

const parts: Readonly<Record<RestartField, (settings: NodeSettings) => unknown>> = {
  hsm: ({ hsm }) => hsm,
  resources: ({ resources }) => resources,
  placement: ({ placement }) => placement,
  interfaces: interfacesOfPod,
  // Anything else of it is about Services.
  exposure: (settings) => isOnHostNetwork(settings),
};

/** Services map the ports of KMIP and the mesh, but for a pod on its machine's network; that of HTTPS the node opens itself. */
function interfacesOfPod(settings: NodeSettings): unknown {
  const { kmip, mesh, rest } = settings.interfaces ?? {};
  const port = (each: InterfaceSettings | undefined) => (isOnHostNetwork(settings) ? each?.port : undefined);
  return {
    kmip: [port(kmip), kmip?.certificateSecretRef?.name],
    mesh: [port(mesh)],
    rest: [rest?.port, rest?.certificateSecretRef?.name],
  };
}

function isOnHostNetwork({ exposure }: NodeSettings): boolean {
  return exposure?.type === "HostNetwork";
}

function digestOf(part: unknown): string {
  return createHash("sha256").update(canonical(part)).digest("hex").slice(0, 16);
}

/** JSON with sorted names: an API server gives them back in an order of its own. */
function canonical(value: unknown): string {
  const sorted = (_name: string, each: unknown): unknown =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([one], [other]) => (one < other ? -1 : 1)))
      : each;
  return JSON.stringify(value, sorted) ?? "";
}
