import type { KubeConfig } from "@kubernetes/client-node";
import { eventIn, objectIn, pageIn } from "./answers.ts";
import { type Kind, kindOf, kinds, pathOf } from "./kinds.ts";
import { ApiError, isApiError, type KubernetesApi, type WatchQuery } from "./kubernetes-api.ts";
import { type Call, httpsTransport, type Transport } from "./transport.ts";
import type { KubernetesObject } from "./types.ts";

/** Deadline of a plain call. */
const callDeadlineMs = 5_000;
/** Deadline of a probe: a site that takes longer counts as lost (DESIGN section 5). */
const probeDeadlineMs = 2_000;
/** The server ends a watch after so long; it is then simply continued. */
const watchSeconds = 270;
/** Objects a page of a list. */
const pageSize = 250;
/** Pages of a list: some 20,000 objects. A server that goes on for ever is refused. */
const mostPages = 80;

/** How to reach one namespace of one site. */
export interface ConnectOptions {
  readonly kubeConfig: KubeConfig;
  readonly namespace: string;
  /** Told of each call, for metrics. */
  readonly observeCall?: (call: { readonly verb: string; readonly code: string }) => void;
  /** Milliseconds for which anything may still be changed; what would be sent, or be under way, after that is refused. */
  readonly mayWriteMs?: () => number;
  /** Deadline of a plain call instead of the usual one. */
  readonly deadlineMs?: number;
  /** Carries the calls; HTTPS when absent. */
  readonly transport?: Transport;
}

/** The real KubernetesApi of one namespace. */
export function connect(options: ConnectOptions): KubernetesApi {
  const { namespace, mayWriteMs = () => Number.POSITIVE_INFINITY } = options;
  const carrier = options.transport ?? httpsTransport(options.kubeConfig);
  const transport = counted(carrier, options.observeCall ?? (() => {}));
  const longestMs = options.deadlineMs ?? callDeadlineMs;
  const send = async (call: Omit<Call, "deadlineMs">) => {
    const reads = call.method === "GET";
    const fence = reads ? {} : { checkBeforeSending: () => void leftToWrite(mayWriteMs()) };
    const deadlineMs = reads ? longestMs : Math.min(longestMs, Math.floor(leftToWrite(mayWriteMs())));
    return await transport.call({ ...call, ...fence, deadlineMs });
  };
  const sendForObject = async (kind: Kind, call: Omit<Call, "deadlineMs">) => objectIn(await send(call), kind);

  return {
    namespace,
    reconnect: () => transport.reconnect(),
    list: (kind, query = {}) => listAll(transport, { path: pathOf(kind, namespace), kind, ...query }),
    watch: (kind, query) => watch(transport, kind, { ...query, path: pathOf(kind, namespace) }),
    get: (kind, name) => orUndefined(sendForObject(kind, { method: "GET", path: pathOf(kind, namespace, name) })),
    getMetadata: (kind, name) =>
      orUndefined(sendForObject(kind, { method: "GET", path: pathOf(kind, namespace, name), accept: metadataOnly })),
    create: (object) =>
      sendForObject(kindOf(object), { method: "POST", path: pathOf(kindOf(object), namespace), body: object }),
    update: (object) =>
      sendForObject(kindOf(object), {
        method: "PUT",
        path: pathOf(kindOf(object), namespace, object.metadata.name),
        body: object,
      }),
    apply: (object, { fieldManager, subresource }) =>
      sendForObject(kindOf(object), {
        method: "PATCH",
        path:
          pathOf(kindOf(object), namespace, object.metadata.name) +
          (subresource === undefined ? "" : `/${subresource}`),
        query: { fieldManager, force: "true" },
        contentType: "application/apply-patch+yaml",
        body: object,
      }),
    async delete(kind, name, preconditions) {
      const body = { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: "Background", preconditions };
      await send({ method: "DELETE", path: pathOf(kind, namespace, name), body });
    },
    async probe() {
      // Not /readyz: that needs no rights everywhere, so an expired token would go unnoticed.
      const path = pathOf("KmsCluster", namespace);
      const answer = await transport.call({
        method: "GET",
        path,
        query: { limit: "1" },
        accept: metadataListOnly,
        deadlineMs: probeDeadlineMs,
      });
      return pageIn(answer, "KmsCluster").resourceVersion;
    },
  };
}

function leftToWrite(leftMs: number): number {
  if (leftMs > 0) return leftMs;
  throw new ApiError("notLeading", "another operator of this site may lead by now: nothing is changed any more");
}

const metadataOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const metadataListOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

async function orUndefined(answer: Promise<KubernetesObject>): Promise<KubernetesObject | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isApiError(error, "notFound")) return undefined;
    throw error;
  }
}

async function listAll(
  transport: Transport,
  options: { readonly path: string; readonly kind: Kind; readonly labelSelector?: string },
) {
  const { path, kind, labelSelector } = options;
  const items: KubernetesObject[] = [];
  let next: string | undefined;
  for (let page = 0; page < mostPages; page++) {
    const query: Record<string, string> = { limit: String(pageSize) };
    if (labelSelector !== undefined) query.labelSelector = labelSelector;
    if (next !== undefined) query.continue = next;
    const answer = pageIn(await transport.call({ method: "GET", path, query, deadlineMs: callDeadlineMs }), kind);
    // A list leaves apiVersion and kind out of its items.
    for (const item of answer.items) items.push({ ...item, apiVersion: kinds[kind].apiVersion, kind });
    next = answer.next;
    if (next === undefined) return { items, resourceVersion: answer.resourceVersion };
  }
  throw new ApiError("failed", `a list of more than ${mostPages} pages is refused`);
}

async function watch(transport: Transport, kind: Kind, query: WatchQuery & { readonly path: string }): Promise<void> {
  const { path, signal, onOpen } = query;
  const parameters: Record<string, string> = {
    watch: "1",
    allowWatchBookmarks: "true",
    resourceVersion: query.resourceVersion,
    timeoutSeconds: String(watchSeconds),
  };
  if (query.labelSelector !== undefined) parameters.labelSelector = query.labelSelector;
  const call = {
    method: "GET",
    path,
    query: parameters,
    deadlineMs: (watchSeconds + 15) * 1000,
    beginsWithinMs: callDeadlineMs,
    onBegin: onOpen,
    signal,
  } as const;
  await transport.stream(call, (line) => query.onEvent(eventIn(line, kind)));
}

function counted(
  transport: Transport,
  observe: (call: { readonly verb: string; readonly code: string }) => void,
): Transport {
  async function count<T>(verb: string, answer: Promise<T>): Promise<T> {
    try {
      const value = await answer;
      observe({ verb, code: "ok" });
      return value;
    } catch (error) {
      observe({ verb, code: error instanceof ApiError ? error.code : "failed" });
      throw error;
    }
  }
  return {
    call: (call) => count(call.method, transport.call(call)),
    stream: (call, onLine) => count("WATCH", transport.stream(call, onLine)),
    reconnect: () => transport.reconnect(),
  };
}
