import type { Action, Clock, FleetLock, KmsNode, KubernetesObject, Log, SiteApi } from "../ports/types.ts";
import { signNodeCertificate } from "./certificates.ts";
import { makeSiteCa } from "./site-ca.ts";

/** What came of the actions of one pass. */
export interface Outcome {
  readonly done: readonly Action[];
  readonly failed: readonly { readonly action: Action; readonly message: string }[];
}

/** What actions are carried out with. */
export interface ActPorts {
  readonly cluster: KubernetesObject;
  readonly site: string;
  readonly api: SiteApi;
  readonly lock: FleetLock;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Carries out actions, one after the other. Each is idempotent; one that fails does not hold up the others. */
export async function act(actions: readonly Action[], ports: ActPorts): Promise<Outcome> {
  const done: Action[] = [];
  const failed: { action: Action; message: string }[] = [];
  for (const action of actions) {
    if (ports.signal.aborted) break;
    try {
      if (!(await carryOut(action, ports))) continue;
      done.push(action);
      ports.log.info("acted", { action: action.kind, object: subjectOf(action), because: action.because });
    } catch (error) {
      const message = (error as Error).message;
      // Somebody else wrote first: the next pass looks again.
      if ((error as { code?: string }).code === "conflict") continue;
      failed.push({ action, message });
      ports.log.warn("action failed", { action: action.kind, object: subjectOf(action), problem: message });
    }
  }
  return { done, failed };
}

/** What an action is about, for people: "Service dc1-a-kmip". */
export function subjectOf(action: Action): string {
  switch (action.kind) {
    case "apply":
    case "delete":
      return `${action.object.kind} ${action.object.metadata.name}`;
    case "signCertificate":
      return `certificate of ${action.node}`;
    case "makeSiteCa":
      return "CA of the site";
    case "takeLock":
      return `fleet lock for ${action.node}`;
    case "releaseLock":
      return "fleet lock";
    case "letGo":
      return "KmsCluster";
  }
}

/** False when there was nothing to do after all. */
async function carryOut(action: Action, ports: ActPorts): Promise<boolean> {
  if (!mayBeSent(action, ports)) return false;
  switch (action.kind) {
    case "apply":
      await ports.api.apply(action.object);
      return true;
    case "delete":
      if (action.asSeen !== undefined) return await ports.api.removeAsSeen(action.object, action.asSeen);
      await ports.api.remove(action.object);
      return true;
    case "signCertificate":
      return await signAndApply(action, ports);
    case "makeSiteCa":
      return await createSiteCa(action.secret, ports);
    case "takeLock":
      return await ports.lock.take({ operation: action.operation, node: action.node });
    case "releaseLock":
      await ports.lock.release();
      return true;
    case "letGo":
      await ports.api.letGo(ports.cluster);
      return true;
  }
}

/** What needs the lock is sent only while it is held. */
function mayBeSent(action: Action, { lock }: ActPorts): boolean {
  return !("needsLock" in action && action.needsLock) || lock.isHeld();
}

/** The object is the KmsNode as it shall be, with the request that the node posted in its status. */
async function signAndApply(action: Extract<Action, { kind: "signCertificate" }>, ports: ActPorts): Promise<boolean> {
  const { ca: name, object } = action;
  const secret = await ports.api.readSecret(name);
  if (secret === undefined) return false; // deleted a moment ago: the next pass says so
  const certificate = secret["tls.crt"];
  const key = secret["ca.key"];
  if (certificate === undefined || key === undefined)
    throw new Error(`the CA of the site, Secret ${name}, has no ${key === undefined ? "ca.key" : "tls.crt"}`);
  try {
    const { status, ...applied } = object as unknown as KmsNode;
    const ca = { certificate: certificate.toString("utf8"), key };
    const node = { ...applied, ...(status === undefined ? {} : { status }) };
    const certificateChain = await signNodeCertificate(node, ca, ports.clock.nowMs());
    // To read the key may have taken long.
    if (!mayBeSent(action, ports)) return false;
    await ports.api.apply({ ...applied, spec: { ...applied.spec, certificateChain } } as unknown as KubernetesObject);
    return true;
  } finally {
    key.fill(0);
  }
}

async function createSiteCa(secret: string, ports: ActPorts): Promise<boolean> {
  const { name, namespace } = ports.cluster.metadata;
  const ca = await makeSiteCa({ cluster: name, site: ports.site }, ports.clock.nowMs());
  try {
    return await ports.api.createSecret({
      apiVersion: "v1",
      kind: "Secret",
      type: "Opaque",
      metadata: {
        name: secret,
        ...(namespace === undefined ? {} : { namespace }),
        labels: { "app.kubernetes.io/managed-by": "keyfleet", "keyfleet.io/cluster": name },
      },
      data: {
        "tls.crt": Buffer.from(ca.certificate).toString("base64"),
        "ca.key": ca.key.toString("base64"),
      },
    });
  } finally {
    ca.key.fill(0);
  }
}
