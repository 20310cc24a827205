import type { KmsNode } from "@keyfleet/crds/kms-node.ts";
import { DocumentError, readDocument } from "./document.ts";
import { readYamlDocuments } from "./file-source.ts";

/** A program of the node; `command` replaces the default one, `run: false` says that somebody else runs it. */
export interface LocalProgram {
  readonly run: boolean;
  readonly command: readonly string[] | undefined;
  readonly environment: Readonly<Record<string, string>>;
}

export const programNames = ["postgres", "time", "hsm", "keyServer"] as const;
export type ProgramName = (typeof programNames)[number];

/** What a node outside Kubernetes needs besides its KmsNode: the second document of its file, kind LocalNode. */
export interface LocalNode {
  readonly dataFolder: string;
  readonly runFolder: string;
  readonly listen: string;
  readonly healthPort: number;
  /** Where the site's operator reads the status; 0: nowhere. */
  readonly statusPort: number;
  readonly pinFile: string;
  /** Folder of the key server's node.log and kmip-activity.log, rotated; absent: lines go to stdout. */
  readonly logFolder: string | undefined;
  /** Folder with tls.crt and tls.key, for settings.interfaces.kmip.certificateSecretRef. */
  readonly kmipCertificate: string;
  /** The same for settings.interfaces.rest.certificateSecretRef. */
  readonly restCertificate: string;
  readonly programs: Readonly<Record<ProgramName, LocalProgram>>;
}

/** Both documents of a standalone node, of one file or of two; throws DocumentError with the field that is wrong. */
export function readLocalFile(path: string, localPath = path): { readonly node: KmsNode; readonly local: LocalNode } {
  const documents = readYamlDocuments(path) as { kind?: string }[];
  const node = readDocument(documents.find((document) => document.kind === "KmsNode"));
  const others = localPath === path ? documents : (readYamlDocuments(localPath) as { kind?: string }[]);
  const local = others.find((document) => document.kind === "LocalNode") ?? {};
  return { node, local: readLocalNode(local as Record<string, unknown>) };
}

const fields = [
  "apiVersion",
  "kind",
  "dataFolder",
  "runFolder",
  "listen",
  "healthPort",
  "statusPort",
  "pinFile",
  "logFolder",
  "kmipCertificate",
  "restCertificate",
  "programs",
];

function readLocalNode(document: Record<string, unknown>): LocalNode {
  const unknown = Object.keys(document).find((key) => !fields.includes(key));
  if (unknown !== undefined) throw new DocumentError(`LocalNode has no field ${unknown}; it has ${fields.join(", ")}`);
  const programs = (document.programs ?? {}) as Record<string, Record<string, unknown> | undefined>;
  return Object.freeze({
    dataFolder: text(document, "dataFolder", "/var/lib/keyfleet"),
    runFolder: text(document, "runFolder", "/run/keyfleet"),
    listen: text(document, "listen", "::"),
    healthPort: portOf(document, "healthPort", 8080),
    statusPort: portOf(document, "statusPort", 8444),
    logFolder: document.logFolder === undefined ? undefined : text(document, "logFolder", ""),
    pinFile: text(document, "pinFile", "/etc/keyfleet/pin"),
    kmipCertificate: text(document, "kmipCertificate", "/etc/keyfleet/kmip"),
    restCertificate: text(document, "restCertificate", "/etc/keyfleet/rest"),
    programs: {
      postgres: readProgram(programs.postgres),
      time: readProgram(programs.time),
      hsm: readProgram(programs.hsm),
      keyServer: readProgram(programs.keyServer),
    },
  });
}

function text(document: Record<string, unknown>, field: string, otherwise: string): string {
  const value = document[field] ?? otherwise;
  if (typeof value !== "string") throw new DocumentError(`LocalNode ${field} must be a text`);
  return value;
}

function portOf(document: Record<string, unknown>, field: string, otherwise: number): number {
  const value = document[field] ?? otherwise;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 65_535)
    throw new DocumentError(`LocalNode ${field} must be a port`);
  return value;
}

function readProgram(program: Record<string, unknown> = {}): LocalProgram {
  const command = program.command as string[] | undefined;
  if (command !== undefined && (!Array.isArray(command) || command.length === 0)) {
    throw new DocumentError("LocalNode programs.*.command must be a list: the program, then its parameters");
  }
  const environment = (program.environment ?? {}) as Record<string, string>;
  return { run: program.run !== false, command, environment };
}
