import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { KmsNode, KmsNodeStatus } from "@keyfleet/crds/kms-node.ts";
import { readDocument } from "./document.ts";
import { replaceFile } from "./durable-file.ts";
import { ApiError, clusterAccess, type KubernetesClient, kubernetesClient } from "./kubernetes-client.ts";
import type { NodeSource, SourceOptions } from "./source.ts";

const watchSeconds = 300;
// The API sends a bookmark about once a minute; two missing ones mean a dead connection.
const watchIdleMs = 130_000;
const backoffMs = { first: 500, most: 15_000 } as const;

/** The KmsNode of the Kubernetes API: list, watch, list again; the last one seen is kept on disk. */
export function kubernetesSource(
  options: SourceOptions,
  client = kubernetesClient(clusterAccess(process.env)),
): NodeSource {
  const callbacks: ((node: KmsNode) => void)[] = [];
  const stop = new AbortController();
  let node = readCache(options);
  let problem: string | undefined = "the Kubernetes API has not answered yet";
  const take = (value: unknown) => {
    const next = readDocument(value);
    const changed = next.metadata.resourceVersion !== node?.metadata.resourceVersion;
    const newSpec = JSON.stringify(next.spec) !== JSON.stringify(node?.spec);
    node = next;
    if (newSpec) replaceFile(options.cacheFile, JSON.stringify(withoutManagedFields(next)));
    if (changed) for (const callback of callbacks) callback(next);
  };
  const say = (text: string | undefined) => {
    if (text !== undefined && text !== problem) options.log("warn", "cannot follow the KmsNode", { problem: text });
    problem = text;
  };
  void follow({ client, options, take, say, signal: stop.signal });
  return {
    current: () => node,
    onChange: (callback) => void callbacks.push(callback),
    report: (status) => report(client, options, status),
    problem: () => problem,
    close: () => stop.abort(),
  };
}

interface Following {
  readonly client: KubernetesClient;
  readonly options: SourceOptions;
  readonly take: (value: unknown) => void;
  readonly say: (problem: string | undefined) => void;
  readonly signal: AbortSignal;
}

async function follow(following: Following): Promise<void> {
  const { signal, say } = following;
  let waitMs: number = backoffMs.first;
  while (!signal.aborted) {
    try {
      await listAndWatch(following, () => {
        waitMs = backoffMs.first;
      });
    } catch (error) {
      say(explain(error as Error));
    }
    await sleep(waitMs * (0.5 + Math.random()), undefined, { signal, ref: false }).catch(() => undefined);
    waitMs = Math.min(waitMs * 2, backoffMs.most);
  }
}

async function listAndWatch(following: Following, succeeded: () => void): Promise<void> {
  const { client, options, take, say, signal } = following;
  const selector = `fieldSelector=metadata.name%3D${encodeURIComponent(options.node)}`;
  const path = `${collection(options)}?${selector}`;
  const list = (await client.json("GET", path)) as { metadata: { resourceVersion: string }; items: unknown[] };
  const item = list.items[0];
  if (item === undefined)
    throw new Error(`there is no KmsNode ${options.namespace}/${options.node}; its operator makes it`);
  take(withKind(item));
  say(undefined);
  succeeded();
  let version = list.metadata.resourceVersion;
  while (!signal.aborted) {
    const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=${watchSeconds}&resourceVersion=${version}`;
    for await (const event of client.watch(`${path}&${query}`, { signal, idleMs: watchIdleMs })) {
      if (event.type === "ERROR") return; // 410 Gone and the like: list again.
      version = event.object.metadata?.resourceVersion ?? version;
      if (event.type === "ADDED" || event.type === "MODIFIED") take(withKind(event.object));
      if (event.type === "DELETED") say("the KmsNode was deleted; the node goes on with the last one it saw");
    }
  }
}

function report(client: KubernetesClient, options: SourceOptions, status: KmsNodeStatus): Promise<void> {
  const path = `${collection(options)}/${options.node}/status?fieldManager=keyfleet-node&force=true`;
  const metadata = { name: options.node, namespace: options.namespace };
  const value = { apiVersion: "keyfleet.io/v1alpha1", kind: "KmsNode", metadata, status };
  // Server-side apply: what this node no longer reports leaves the status, and no resourceVersion can be stale.
  return client.json("PATCH", path, { type: "application/apply-patch+yaml", value }).then(() => undefined);
}

function collection(options: SourceOptions): string {
  return `/apis/keyfleet.io/v1alpha1/namespaces/${encodeURIComponent(options.namespace)}/kmsnodes`;
}

function withKind(value: unknown): unknown {
  return { apiVersion: "keyfleet.io/v1alpha1", kind: "KmsNode", ...(value as object) };
}

function withoutManagedFields(node: KmsNode): KmsNode {
  return { ...node, metadata: { ...node.metadata, managedFields: undefined } as KmsNode["metadata"] };
}

function readCache(options: SourceOptions): KmsNode | undefined {
  try {
    const node = readDocument(JSON.parse(readFileSync(options.cacheFile, "utf8")));
    return node.metadata.name === options.node ? node : undefined;
  } catch {
    return undefined; // None yet: the first start of this node waits for the API.
  }
}

function explain(error: Error): string {
  if (error instanceof ApiError && error.status === 403) {
    return `the node's service account may not read its KmsNode (${error.message}); its operator grants that`;
  }
  return `the Kubernetes API cannot be used: ${error.message}`;
}
