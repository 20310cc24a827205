import type { NodeSettings } from "@keyfleet/crds/kms-node.ts";
import { restartDigest } from "@keyfleet/crds/restart-settings.ts";
import type { KmsNode, NodeImage } from "../ports/types.ts";
import { insidePort, standardPorts } from "./exposure.ts";
import type { ResolvedSettings } from "./settings.ts";

const startedWith = "KEYFLEET_STARTED_WITH";

/** One container, as far as the operator fills it in. */
export type Container = { readonly name: string } & Readonly<Record<string, unknown>>;

const program = "/opt/keyfleet/node-image";
const state = "/var/lib/keyfleet";
const run = { name: "run", mountPath: "/run/keyfleet" };
const temporary = { name: "tmp", mountPath: "/tmp" };

/** Interfaces for which the administrator may give a certificate of his own (tls.crt, tls.key), each in a folder. */
export const certificateDoors = ["kmip", "rest"] as const;

type CertificateDoor = (typeof certificateDoors)[number];

/** Name of the Secret with the certificate of an interface; undefined when it shows that of the site's CA. */
export function certificateSecret(settings: NodeSettings, door: CertificateDoor): string | undefined {
  return settings.interfaces?.[door]?.certificateSecretRef?.name;
}

function certificateMounts(settings: NodeSettings) {
  return certificateDoors
    .filter((door) => certificateSecret(settings, door) !== undefined)
    .map((door) => ({ name: `${door}-certificate`, mountPath: `/run/secrets/keyfleet/${door}`, readOnly: true }));
}

const locked = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  capabilities: { drop: ["ALL"] },
} as const;

/** The containers of a node pod. */
export interface NodeContainers {
  /**
   * Native sidecars (init containers that restart): Kubernetes starts them before the key server and ends them after it,
   * the last one first, so that the key server's drain still has its HSM and its database.
   */
  readonly initContainers: readonly Container[];
  readonly containers: readonly Container[];
}

/** The image of a version, by tag, and by digest where that is known. */
function reference({ repository, digests = {} }: NodeImage, version: string): string {
  const digest = digests[version];
  return digest === undefined ? `${repository}:${version}` : `${repository}:${version}@${digest}`;
}

/** The part of a pod by which its machine may fetch the image. */
export function pullSecrets({ pullSecrets: names = [] }: NodeImage) {
  return names.length === 0 ? {} : { imagePullSecrets: names.map((name) => ({ name })) };
}

/** The four containers of a node pod. */
export function nodeContainers(node: KmsNode, settings: ResolvedSettings, image: NodeImage): NodeContainers {
  const shared = { image: reference(image, node.spec.version), imagePullPolicy: image.pullPolicy };
  const meshPort = insidePort(settings, "mesh");
  const complete = (container: Container) => ({ ...shared, ...container, securityContext: locked });
  return {
    initContainers: [chrony(), postgres(meshPort), hsm(settings, keyOwner(node.spec.cluster, node.metadata.name))].map(
      (each) => ({
        ...complete(each),
        restartPolicy: "Always",
      }),
    ),
    containers: [complete(keyServer(node, settings))],
  };
}

/** What is still known of a node that has departed. */
export interface ErasedNode {
  readonly cluster: string;
  readonly node: string;
  readonly version: string;
}

/** By this a node knows the keys that it made from those of others in the same token; the same in all its lives. */
function keyOwner(cluster: string, node: string): string {
  return `${cluster}/${node}`;
}

/** The HSM container once more, which destroys the key of a node that has departed, and ends. */
export function eraseContainer(settings: ResolvedSettings, image: NodeImage, of: ErasedNode): Container {
  const container = hsm(settings, keyOwner(of.cluster, of.node));
  const command = [...(container.command as string[]), "--erase"];
  const pulled = { image: reference(image, of.version), imagePullPolicy: image.pullPolicy };
  return {
    ...container,
    ...pulled,
    command,
    securityContext: locked,
    terminationMessagePolicy: "FallbackToLogsOnError",
  };
}

function keyServer(node: KmsNode, settings: ResolvedSettings): Container {
  const requests = { cpu: "100m", memory: "128Mi", ...settings.resources?.requests };
  const limits = settings.resources?.limits;
  const [kmip, mesh] = [insidePort(settings, "kmip"), insidePort(settings, "mesh")];
  const certificates = certificateMounts(settings);
  return {
    name: "keyserver",
    command: [
      ...["node", `${program}/key-server.ts`, "--source", "kubernetes", "--kmip-port", String(kmip)],
      ...(mesh === standardPorts.mesh ? [] : ["--postgres-port", String(mesh)]),
      ...certificates.flatMap(({ name, mountPath }) => [`--${name}`, mountPath]),
    ],
    env: [
      { name: "KEYFLEET_NODE", value: node.metadata.name },
      { name: "KEYFLEET_NAMESPACE", value: node.metadata.namespace ?? "default" },
      // By this the node knows what of its document waits for the next pod.
      { name: startedWith, value: restartDigest(settings) },
    ],
    ports: [
      { name: "kmip", containerPort: kmip, protocol: "TCP" },
      { name: "health", containerPort: 8080, protocol: "TCP" },
    ],
    // A replay of a long log may take a while; after that, silence for half a minute means that the process hangs.
    startupProbe: probe("/livez", { periodSeconds: 2, timeoutSeconds: 4, failureThreshold: 150 }),
    livenessProbe: probe("/livez", { periodSeconds: 10, timeoutSeconds: 10, failureThreshold: 3 }),
    readinessProbe: probe("/readyz", { periodSeconds: 2, timeoutSeconds: 4, failureThreshold: 2 }),
    resources: limits ? { requests, limits } : { requests },
    volumeMounts: [
      { name: "data", mountPath: `${state}/node`, subPath: "node" },
      { name: "api", mountPath: "/var/run/secrets/kubernetes.io/serviceaccount", readOnly: true },
      ...certificates,
      run,
      temporary,
    ],
  };
}

/** The only container with the PIN and the vendor's library. */
function hsm(settings: ResolvedSettings, owner: string): Container {
  const { library = "", token = {}, keyLabel, environment = [], softToken } = settings.hsm;
  return {
    name: "hsm",
    command: [
      ...["node", `${program}/hsm-sidecar.ts`, "--library", library],
      ...(token.label === undefined ? [] : ["--token-label", token.label]),
      ...(token.serial === undefined ? [] : ["--token-serial", token.serial]),
      ...["--key-label", keyLabel, "--pin-file", "/run/secrets/keyfleet/pin/pin"],
      ...["--state", `${state}/hsm`, "--socket", "/run/keyfleet/hsm/hsm.sock"],
      ...(softToken?.initialise ? ["--soft-token-initialise"] : []),
    ],
    env: [...environment, { name: "KEYFLEET_KEY_OWNER", value: owner }],
    resources: { requests: { cpu: "25m", memory: "64Mi" } },
    volumeMounts: [
      { name: "data", mountPath: `${state}/hsm`, subPath: "hsm" },
      { name: "pin", mountPath: "/run/secrets/keyfleet/pin", readOnly: true },
      run,
      temporary,
    ],
  };
}

function postgres(port: number): Container {
  return {
    name: "postgres",
    command: [`${program}/postgres/start.sh`],
    env: [
      { name: "KEYFLEET_POSTGRES_DATA", value: `${state}/postgres` },
      { name: "KEYFLEET_RUN", value: "/run/keyfleet" },
      ...(port === standardPorts.mesh ? [] : [{ name: "KEYFLEET_MESH_PORT", value: String(port) }]),
    ],
    ports: [{ name: "mesh", containerPort: port, protocol: "TCP" }],
    resources: { requests: { cpu: "50m", memory: "96Mi" } },
    volumeMounts: [{ name: "data", mountPath: `${state}/postgres`, subPath: "postgres" }, run, temporary],
  };
}

function chrony(): Container {
  return {
    name: "chrony",
    command: [`${program}/time/start.sh`],
    env: [{ name: "KEYFLEET_RUN", value: "/run/keyfleet" }],
    resources: { requests: { cpu: "10m", memory: "16Mi" } },
    volumeMounts: [run, temporary],
  };
}

interface Timing {
  readonly periodSeconds: number;
  /** Long, because a machine that is out of breath would else lose all its nodes at once: a late answer is one. */
  readonly timeoutSeconds: number;
  readonly failureThreshold: number;
}

function probe(path: string, timing: Timing) {
  return { httpGet: { path, port: "health", scheme: "HTTP" }, ...timing };
}

/** The digest of the settings that pods of such a specification are made with; undefined when they are of no node. */
export function madeWith(spec: PodSpec | undefined): string | undefined {
  return spec?.containers?.flatMap(({ env = [] }) => env).find(({ name }) => name === startedWith)?.value;
}

/** What is looked at of a pod's specification. */
export interface PodSpec {
  readonly containers?: readonly { readonly env?: readonly { readonly name: string; readonly value?: string }[] }[];
}
