import type { KmsNode, KmsNodeSpec, NodeSettings } from "@keyfleet/crds/kms-node.ts";

const actions = ["None", "Found", "Join", "Member", "Leave"];
const standings = ["Joining", "Member", "Leaving", "Fenced", "Departed"];
const durabilities = ["EverySite", "OtherSite", "Local"];

/** The document is not a KmsNode; the message names the field and what it must be. */
export class DocumentError extends Error {
  readonly code = "BadDocument";
}

/** Checks what came from outside and fills what may be left out; throws DocumentError. */
export function readDocument(value: unknown): KmsNode {
  if (value === undefined) throw new DocumentError("there is no document of kind KmsNode");
  const document = asRecord(value, "the document");
  if (document.kind !== "KmsNode") throw new DocumentError(`kind is ${String(document.kind)}, must be KmsNode`);
  const metadata = asRecord(document.metadata, "metadata");
  asText(metadata.name, "metadata.name");
  return { ...document, spec: readSpec(asRecord(document.spec, "spec")) } as unknown as KmsNode;
}

function readSpec(spec: Record<string, unknown>): KmsNodeSpec {
  for (const field of ["cluster", "site", "version"]) asText(spec[field], `spec.${field}`);
  const membership = asRecord(spec.membership ?? { action: "None" }, "spec.membership");
  const durability = spec.durability ?? "EverySite";
  oneOf(membership.action, actions, "spec.membership.action");
  oneOf(durability, durabilities, "spec.durability");
  return {
    featureLevel: spec.version,
    ...spec,
    settings: readSettings(asRecord(spec.settings ?? {}, "spec.settings")),
    clients: { caBundle: "", administrators: [], ...asRecord(spec.clients ?? {}, "spec.clients") },
    members: readMembers(spec.members ?? []),
    membership,
    durability,
  } as unknown as KmsNodeSpec;
}

/** What would end a node here and now if it were of another form; an API server has seen to all of it, a file's writer may not. */
function readSettings(settings: Record<string, unknown>): Record<string, unknown> {
  const { servers = [] } = asRecord(settings.ntp ?? {}, "spec.settings.ntp");
  if (!Array.isArray(servers)) throw new DocumentError("spec.settings.ntp.servers must be a list");
  for (const [index, server] of servers.entries()) asText(server, `spec.settings.ntp.servers[${index}]`);
  return settings;
}

function readMembers(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new DocumentError("spec.members must be a list");
  for (const [index, entry] of value.entries()) {
    const member = asRecord(entry, `spec.members[${index}]`);
    for (const field of ["name", "site", "identity"]) asText(member[field], `spec.members[${index}].${field}`);
    oneOf(member.standing, standings, `spec.members[${index}].standing`);
  }
  return value;
}

function asRecord(value: unknown, path: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new DocumentError(`${path} must be a mapping`);
}

function asText(value: unknown, path: string): void {
  if (typeof value !== "string" || value === "") throw new DocumentError(`${path} must be a text`);
}

function oneOf(value: unknown, allowed: readonly string[], path: string): void {
  if (!allowed.includes(value as string)) throw new DocumentError(`${path} must be one of ${allowed.join(", ")}`);
}

/** Settings that this version has no code for; they are named in the status, never ignored silently. */
const notActedOn: readonly (readonly [string, (settings: NodeSettings) => unknown])[] = [
  ["interfaces.mesh.certificateSecretRef", (settings) => settings.interfaces?.mesh?.certificateSecretRef],
  ["logs.shipping", (settings) => settings.logs?.shipping],
  ["licence", (settings) => settings.licence],
  ["proxy", (settings) => settings.proxy],
  ["backup", (settings) => settings.backup],
];

/** Paths below spec.settings that are set but not acted on. */
export function unsupportedSettings(settings: NodeSettings): readonly string[] {
  return notActedOn.filter(([, pick]) => pick(settings) !== undefined).map(([path]) => path);
}
