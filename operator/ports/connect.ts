import type { KubeConfig } from "@kubernetes/client-node";
import { type Kind, kindOf, kinds, pathOf } from "./kinds.ts";
import {
  ApiError,
  apiErrorOf,
  isApiError,
  type KubernetesApi,
  type WatchEvent,
  type WatchQuery,
} from "./kubernetes-api.ts";
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
}

/** The real KubernetesApi of one namespace. */
export function connect(options: ConnectOptions): KubernetesApi {
  const { namespace, mayWriteMs = () => Number.POSITIVE_INFINITY } = options;
  const transport = counted(httpsTransport(options.kubeConfig), options.observeCall ?? (() => {}));
  const longestMs = options.deadlineMs ?? callDeadlineMs;
  const send = async (call: Omit<Call, "deadlineMs">) => {
    const reads = call.method === "GET";
    const fence = reads ? {} : { checkBeforeSending: () => void leftToWrite(mayWriteMs()) };
    const deadlineMs = reads ? longestMs : Math.min(longestMs, Math.floor(leftToWrite(mayWriteMs())));
    return (await transport.call({ ...call, ...fence, deadlineMs })) as KubernetesObject;
  };

  return {
    namespace,
    reconnect: () => transport.reconnect(),
    list: (kind, query = {}) => listAll(transport, { path: pathOf(kind, namespace), kind, ...query }),
    watch: (kind, query) => watch(transport, pathOf(kind, namespace), query),
    get: (kind, name) => orUndefined(send({ method: "GET", path: pathOf(kind, namespace, name) })),
    getMetadata: (kind, name) =>
      orUndefined(send({ method: "GET", path: pathOf(kind, namespace, name), accept: metadataOnly })),
    create: (object) => send({ method: "POST", path: pathOf(kindOf(object), namespace), body: object }),
    update: (object) =>
      send({ method: "PUT", path: pathOf(kindOf(object), namespace, object.metadata.name), body: object }),
    apply: (object, { fieldManager, subresource }) =>
      send({
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
      await transport.call({
        method: "GET",
        path,
        query: { limit: "1" },
        accept: metadataListOnly,
        deadlineMs: probeDeadlineMs,
      });
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

interface ListAnswer {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly KubernetesObject[];
}

async function listAll(
  transport: Transport,
  options: { readonly path: string; readonly kind: Kind; readonly labelSelector?: string },
) {
  const { path, kind, labelSelector } = options;
  const items: KubernetesObject[] = [];
  let answer: ListAnswer = { metadata: { continue: "" } };
  do {
    const query: Record<string, string> = { limit: String(pageSize) };
    if (labelSelector !== undefined) query.labelSelector = labelSelector;
    if (answer.metadata?.continue) query.continue = answer.metadata.continue;
    answer = (await transport.call({ method: "GET", path, query, deadlineMs: callDeadlineMs })) as ListAnswer;
    // A list leaves apiVersion and kind out of its items.
    for (const item of answer.items ?? []) items.push({ ...item, apiVersion: kinds[kind].apiVersion, kind });
  } while (answer.metadata?.continue);
  return { items, resourceVersion: answer.metadata?.resourceVersion ?? "" };
}

async function watch(transport: Transport, path: string, query: WatchQuery): Promise<void> {
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
    signal: query.signal,
  } as const;
  await transport.stream(call, (line) => {
    const event = JSON.parse(line) as WatchEvent | { type: "ERROR"; object: { code?: number; message?: string } };
    if (event.type === "ERROR") throw apiErrorOf(event.object.code ?? 500, event.object);
    query.onEvent(event);
  });
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
