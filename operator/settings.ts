import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import type { NodeImage } from "./ports/types.ts";
import type { LogLevel } from "./runtime/log.ts";

/** All that the process can be told from outside; read once, in main.ts. */
export interface Settings {
  /** Name of the site that this operator serves, as in KmsCluster spec.sites. */
  readonly site: string;
  /** Namespace that it works in; undefined: that of the kubeconfig's context or of its own pod. */
  readonly namespace: string | undefined;
  /** Tells this operator from the others of its site; a process may have that of one that has ended before it began. */
  readonly identity: string;
  readonly healthPort: number;
  readonly logLevel: LogLevel;
  readonly nodeImage: NodeImage;
}

/** A setting that cannot be used; the message says which and what would do. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

const options = {
  site: { type: "string" },
  namespace: { type: "string" },
  identity: { type: "string" },
  "health-port": { type: "string", default: "8081" },
  "log-level": { type: "string", default: "info" },
  "node-image": { type: "string", default: "localhost/keyfleet-node" },
  "node-image-digests": { type: "string" },
  "node-image-pull-policy": { type: "string", default: "IfNotPresent" },
  "node-image-pull-secrets": { type: "string" },
  "node-priority-class": { type: "string" },
  help: { type: "boolean", default: false },
} as const;

/** Shown by --help. */
export const usage = `keyfleet operator: runs the key management servers of one site.

  node operator/main.ts --site NAME [options]

  --site NAME                    site that it serves, as named in KmsCluster spec.sites   KEYFLEET_SITE
  --namespace NAME               namespace that it works in (default: its own)            KEYFLEET_NAMESPACE
  --identity NAME                among the operators of its site (default: a random one)  KEYFLEET_IDENTITY
  --health-port N                /livez, /readyz, /metrics (default 8081)                 KEYFLEET_HEALTH_PORT
  --log-level LEVEL              debug, info (default), warn, error                       KEYFLEET_LOG_LEVEL
  --node-image REPOSITORY        image of the nodes, without tag                          KEYFLEET_NODE_IMAGE
  --node-image-digests V=D,V=D   digest of that image for versions that have to be pinned  KEYFLEET_NODE_IMAGE_DIGESTS
  --node-image-pull-policy P     Always, IfNotPresent (default), Never                    KEYFLEET_NODE_IMAGE_PULL_POLICY
  --node-image-pull-secrets N,N  Secrets for the registry of that image (default: none)   KEYFLEET_NODE_IMAGE_PULL_SECRETS
  --node-priority-class NAME     PriorityClass of the nodes (default: none)               KEYFLEET_NODE_PRIORITY_CLASS

The API server is found as kubectl finds it (KUBECONFIG), or by the account of the pod. Flags win over the environment.
`;

/** Reads flags, then environment, then defaults. "help" when that was asked for. Throws SettingsError. */
export function readSettings(
  flags: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Settings | "help" {
  const given = parsedFlags(flags);
  if (given.help === true) return "help";
  const value = (name: Exclude<keyof typeof options, "help">): string | undefined => {
    const variable = `KEYFLEET_${name.toUpperCase().replaceAll("-", "_")}`;
    const fallback = "default" in options[name] ? (options[name] as { default: string }).default : undefined;
    return (given[name] as string | undefined) ?? (environment[variable] || undefined) ?? fallback;
  };
  const optional = (flag: "namespace" | "identity" | "node-priority-class") => {
    const text = value(flag);
    return text === undefined ? undefined : name(text, `--${flag}`);
  };
  const priorityClassName = optional("node-priority-class");
  const digests = value("node-image-digests")?.split(",").map(digest);
  const pullSecrets = value("node-image-pull-secrets")?.split(",").map(secretName);
  return {
    site: siteName(value("site")),
    namespace: optional("namespace"),
    identity: optional("identity") ?? randomUUID(),
    healthPort: port(value("health-port")),
    logLevel: oneOf("--log-level", value("log-level"), ["debug", "info", "warn", "error"]),
    nodeImage: {
      repository: repository(value("node-image")),
      pullPolicy: oneOf("--node-image-pull-policy", value("node-image-pull-policy"), [
        "Always",
        "IfNotPresent",
        "Never",
      ]),
      ...(priorityClassName === undefined ? {} : { priorityClassName }),
      ...(digests === undefined ? {} : { digests: Object.fromEntries(digests) }),
      ...(pullSecrets === undefined ? {} : { pullSecrets }),
    },
  };
}

function parsedFlags(flags: readonly string[]) {
  const withoutDefaults = Object.fromEntries(Object.entries(options).map(([key, { type }]) => [key, { type }]));
  try {
    return parseArgs({ args: [...flags], options: withoutDefaults }).values;
  } catch (error) {
    throw new SettingsError(`${(error as Error).message}; see --help`);
  }
}

function name(value: string | undefined, flag: string): string {
  if (value !== undefined && /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(value)) return value;
  throw new SettingsError(`${flag} must be a name of lower case letters, digits and dashes, at most 63; see --help`);
}

/** As a KmsCluster may name it: under another name this operator would have no site. */
function siteName(value: string | undefined): string {
  if (value !== undefined && /^[a-z]([-a-z0-9]{0,30}[a-z0-9])?$/.test(value)) return value;
  throw new SettingsError(
    "--site must be the name of a site in KmsCluster spec.sites: lower case letters, digits and dashes, a letter first, at most 32; see --help",
  );
}

function digest(value: string): readonly [version: string, digest: string] {
  const [, version, found] = /^([0-9]+(?:\.[0-9]+){2}(?:-[0-9A-Za-z.-]+)?)=(sha256:[0-9a-f]{64})$/.exec(value) ?? [];
  if (version !== undefined && found !== undefined) return [version, found];
  throw new SettingsError(`--node-image-digests must be VERSION=sha256:... with commas between, "${value}" is not`);
}

function secretName(value: string): string {
  if (/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(value)) return value;
  throw new SettingsError(`--node-image-pull-secrets must be names of Secrets with commas between, "${value}" is none`);
}

function port(value: string | undefined): number {
  const number = Number(value);
  if (Number.isInteger(number) && number >= 0 && number <= 65_535) return number;
  throw new SettingsError("--health-port must be a port number (0 to 65535)");
}

function repository(value: string | undefined): string {
  if (value !== undefined && /^[a-z0-9]([a-z0-9._-]*(:[0-9]+)?\/)?[a-z0-9._/-]*[a-z0-9]$/.test(value)) return value;
  throw new SettingsError("--node-image must be a repository without tag or digest: the version of a node is the tag");
}

function oneOf<T extends string>(flag: string, value: string | undefined, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === value);
  if (found !== undefined) return found;
  throw new SettingsError(`${flag} must be one of ${allowed.join(", ")}`);
}
