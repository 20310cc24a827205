import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

/** What the process was started with; read once. */
export interface Settings {
  readonly source: string;
  readonly node: string;
  readonly namespace: string;
  /** Folder on the node's own volume: identity, last document. */
  readonly dataFolder: string;
  /** Folder in memory that the node's containers share: sockets, configuration of postgres and chrony. */
  readonly runFolder: string;
  /** Address that KMIP and health listen on. */
  readonly listenAddress: string;
  /** Overrides settings.interfaces.kmip.port when not 0. */
  readonly kmipPort: number;
  /** Folder with tls.crt and tls.key for KMIP instead of the certificate of the site's CA; undefined: none. */
  readonly kmipCertificate: string | undefined;
  /** The same for KMIP over HTTPS; undefined: that of KMIP. */
  readonly restCertificate: string | undefined;
  readonly healthPort: number;
  /** Folder of node.log and kmip-activity.log, rotated; undefined: lines go to stdout. */
  readonly logFolder: string | undefined;
  /** Bytes of each of these files before the next is begun; undefined: the usual. */
  readonly logFileBytes: number | undefined;
  /** Where the site's operator reads the status of a node outside Kubernetes; 0: nowhere. */
  readonly statusPort: number;
  /** Names PostgreSQL's unix socket; the port of the mesh. */
  readonly postgresPort: number;
  /** Whether 3DES is made and used, for clients that know nothing better. */
  readonly legacyCiphers: boolean;
  /** Whether compromised objects are still handed out to those who may read them, so that data can be protected anew. */
  readonly servesCompromised: boolean;
  /** How many bytes of a client's seed are mixed into the random generator; undefined refuses seeds. */
  readonly clientSeedBytes: number | undefined;
  /** Clients' connections that are held at once on each port, in all and from one address; undefined: the listener's own limits. */
  readonly connectionsMax: number | undefined;
  readonly connectionsPerAddressMax: number | undefined;
  /** Digest of the settings that need a restart, as they were when this node's programs were started; undefined: not known. */
  readonly startedWith: string | undefined;
  /** Of this software. */
  readonly version: string;
}

export const help = `Key server of a keyfleet node.

  node key-server.ts --source kubernetes | file:PATH [options]

  --source         where the KmsNode document is: "kubernetes" (this pod's API) or "file:PATH" (YAML)
  --node           KmsNode name, for kubernetes            [KEYFLEET_NODE]
  --namespace      its namespace, for kubernetes           [KEYFLEET_NAMESPACE]
  --data           folder on the node's own volume         [KEYFLEET_DATA, /var/lib/keyfleet/node]
  --run            folder in memory, shared by the node's containers  [KEYFLEET_RUN, /run/keyfleet]
  --listen         address for KMIP and health             [KEYFLEET_LISTEN, ::]
  --kmip-port      instead of settings.interfaces.kmip.port
  --kmip-certificate  folder with tls.crt and tls.key for KMIP [the site's CA's]
  --rest-certificate  the same for KMIP over HTTPS [that of KMIP]
  --log-folder     folder of node.log and kmip-activity.log, rotated  [stdout]
  --log-file-bytes of each, nine older ones are kept beside it  [KEYFLEET_LOG_FILE_BYTES, 10000000]
  --health-port    /livez /readyz /metrics                 [8080]
  --status-port    GET /status over TLS with certificates of the mesh, for the site's operator; 0: none [0]
  --postgres-port  port that names PostgreSQL's unix socket [5432]
  --legacy-ciphers on: also 3DES, for old clients, whatever spec.clients says          [KEYFLEET_LEGACY_CIPHERS, off]
  --serve-compromised on: also compromised objects, to read old data, whatever spec.clients says  [KEYFLEET_SERVE_COMPROMISED, off]
  --client-seeds   bytes of a client's seed that are used, or "refused"  [KEYFLEET_CLIENT_SEEDS, 1048576]
  --connections-max  clients' connections at once on each port [KEYFLEET_CONNECTIONS_MAX, 5000]
  --connections-per-address-max  of these from one address [KEYFLEET_CONNECTIONS_PER_ADDRESS_MAX, 4000]
  --help           this text
`;

/** Flags win over the environment; throws with a sentence for people where a value cannot be used. */
export function readSettings(parameters: readonly string[], environment: NodeJS.ProcessEnv): Settings | "help" {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...parameters],
    options: {
      source: text,
      node: text,
      namespace: text,
      data: text,
      run: text,
      listen: text,
      "kmip-port": text,
      "kmip-certificate": text,
      "rest-certificate": text,
      "log-folder": text,
      "log-file-bytes": text,
      "health-port": text,
      "status-port": text,
      "postgres-port": text,
      "legacy-ciphers": text,
      "serve-compromised": text,
      "client-seeds": text,
      "connections-max": text,
      "connections-per-address-max": text,
      help: { type: "boolean" },
    },
  });
  if (values.help) return "help";
  const node = values.node ?? environment.KEYFLEET_NODE ?? "";
  return Object.freeze({
    source: sourceOf(values.source, node),
    node,
    namespace: values.namespace ?? environment.KEYFLEET_NAMESPACE ?? "default",
    dataFolder: values.data ?? environment.KEYFLEET_DATA ?? "/var/lib/keyfleet/node",
    runFolder: values.run ?? environment.KEYFLEET_RUN ?? "/run/keyfleet",
    listenAddress: values.listen ?? environment.KEYFLEET_LISTEN ?? "::",
    kmipPort: port("--kmip-port", values["kmip-port"] ?? "0"),
    kmipCertificate: values["kmip-certificate"],
    restCertificate: values["rest-certificate"],
    logFolder: values["log-folder"],
    logFileBytes: count("--log-file-bytes", values["log-file-bytes"], environment.KEYFLEET_LOG_FILE_BYTES, 1e9),
    healthPort: port("--health-port", values["health-port"] ?? "8080"),
    statusPort: port("--status-port", values["status-port"] ?? "0"),
    postgresPort: port("--postgres-port", values["postgres-port"] ?? "5432"),
    legacyCiphers: onOrOff(
      "--legacy-ciphers",
      values["legacy-ciphers"] ?? environment.KEYFLEET_LEGACY_CIPHERS ?? "off",
    ),
    servesCompromised: onOrOff(
      "--serve-compromised",
      values["serve-compromised"] ?? environment.KEYFLEET_SERVE_COMPROMISED ?? "off",
    ),
    clientSeedBytes: seedBytes(values["client-seeds"] ?? environment.KEYFLEET_CLIENT_SEEDS ?? "1048576"),
    connectionsMax: count("--connections-max", values["connections-max"], environment.KEYFLEET_CONNECTIONS_MAX),
    connectionsPerAddressMax: count(
      "--connections-per-address-max",
      values["connections-per-address-max"],
      environment.KEYFLEET_CONNECTIONS_PER_ADDRESS_MAX,
    ),
    startedWith: environment.KEYFLEET_STARTED_WITH,
    version: ownVersion(),
  });
}

function sourceOf(value: string | undefined, node: string): string {
  if (value === undefined) throw new Error("--source is missing; --help shows the options");
  if (value === "kubernetes" && node === "")
    throw new Error("--node, or KEYFLEET_NODE, names the KmsNode; it is missing");
  if (value === "kubernetes" || /^file:./.test(value)) return value;
  throw new Error(`--source ${value}: write "kubernetes" or "file:PATH"`);
}

function port(flag: string, value: string): number {
  const number = Number(value);
  if (Number.isInteger(number) && number >= 0 && number < 65_536) return number;
  throw new Error(`${flag} ${value} is not a port`);
}

function count(
  flag: string,
  given: string | undefined,
  inEnvironment: string | undefined,
  most = 100_000,
): number | undefined {
  const value = given ?? inEnvironment;
  if (value === undefined) return undefined;
  const number = Number(value);
  if (Number.isInteger(number) && number > 0 && number <= most) return number;
  throw new Error(`${flag} ${value} is not a number from 1 to ${most}`);
}

function onOrOff(flag: string, value: string): boolean {
  if (value === "on" || value === "off") return value === "on";
  throw new Error(`${flag} ${value} is neither on nor off`);
}

function seedBytes(value: string): number | undefined {
  if (value === "refused") return undefined;
  const bytes = Number(value);
  if (Number.isInteger(bytes) && bytes >= 0) return bytes;
  throw new Error(`--client-seeds ${value} is neither a number of bytes nor "refused"`);
}

function ownVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };
  return manifest.version;
}
