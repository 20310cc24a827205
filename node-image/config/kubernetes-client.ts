import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Agent, type RequestOptions, request } from "node:https";

// Own and small instead of @kubernetes/client-node: the node reads one object and writes its status; the library costs
// 40 MB of image and 30 MB of memory in every node.
const requestDeadlineMs = 10_000;
const maxBodyBytes = 4 * 1024 * 1024;
const tokenLifeMs = 60_000;

/** How to reach the API from inside a pod. */
export interface ClusterAccess {
  readonly host: string;
  readonly port: number;
  /** Files: read again while running, because the kubelet replaces them. */
  readonly caFile: string;
  readonly tokenFile: string;
}

/** An answer of the API other than success; `status` is the HTTP status. */
export class ApiError extends Error {
  readonly code = "KubernetesApi";
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The access that every pod has by its service account. */
export function clusterAccess(environment: NodeJS.ProcessEnv): ClusterAccess {
  const folder = "/var/run/secrets/kubernetes.io/serviceaccount";
  const host = environment.KUBERNETES_SERVICE_HOST;
  if (host === undefined)
    throw new Error("--source kubernetes works only in a pod: KUBERNETES_SERVICE_HOST is not set");
  const port = Number(environment.KUBERNETES_SERVICE_PORT ?? 443);
  return { host, port, caFile: `${folder}/ca.crt`, tokenFile: `${folder}/token` };
}

export interface KubernetesClient {
  /** The answer's JSON; rejects with ApiError or a connection's error, after 10 s at the latest. */
  json(method: string, path: string, body?: { readonly type: string; readonly value: unknown }): Promise<unknown>;
  /** Events of a watch, one object each; ends when the server or `signal` ends it, or `idleMs` pass without a byte. */
  watch(path: string, options: { readonly signal: AbortSignal; readonly idleMs: number }): AsyncIterable<WatchEvent>;
}

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: { readonly metadata?: { readonly resourceVersion?: string }; readonly code?: number };
}

/** A client for a few objects over one keep-alive connection and one for the watch. */
export function kubernetesClient(access: ClusterAccess): KubernetesClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 2, timeout: 60_000 });
  const token = cachedToken(access.tokenFile);
  const base = (): RequestOptions => ({
    host: access.host,
    port: access.port,
    ca: readFileSync(access.caFile),
    agent,
    headers: { authorization: `Bearer ${token()}`, accept: "application/json" },
  });
  return {
    json: async (method, path, body) => {
      const signal = AbortSignal.timeout(requestDeadlineMs);
      const options = { ...base(), method, path, signal };
      const headers = { ...options.headers, ...(body === undefined ? {} : { "content-type": body.type }) };
      return JSON.parse(await textOf(await send({ ...options, headers }, body && JSON.stringify(body.value))));
    },
    watch: (path, options) => watch({ ...base(), path }, options),
  };
}

async function* watch(
  options: RequestOptions,
  limits: { readonly signal: AbortSignal; readonly idleMs: number },
): AsyncIterable<WatchEvent> {
  const response = await send({ ...options, signal: limits.signal });
  response.setTimeout(limits.idleMs, () => response.destroy(new Error("the watch fell silent")));
  let rest = "";
  for await (const chunk of response.setEncoding("utf8")) {
    rest += chunk;
    if (rest.length > maxBodyBytes) throw new ApiError(0, "a watch event is larger than 4 MiB");
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") yield JSON.parse(line) as WatchEvent;
  }
}

function send(options: RequestOptions, body?: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request(options, (response) => {
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) return resolve(response);
      textOf(response).then((text) => reject(new ApiError(status, reasonOf(text, status))), reject);
    });
    outgoing.on("error", reject);
    outgoing.setTimeout(requestDeadlineMs, () => outgoing.destroy(new Error("the Kubernetes API did not answer")));
    outgoing.end(body);
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) {
    text += chunk;
    if (text.length > maxBodyBytes) throw new ApiError(0, "an answer is larger than 4 MiB");
  }
  return text;
}

function reasonOf(text: string, status: number): string {
  try {
    return String((JSON.parse(text) as { message?: string }).message ?? `HTTP ${status}`).slice(0, 300);
  } catch {
    return `HTTP ${status}`;
  }
}

function cachedToken(file: string): () => string {
  let token = "";
  let readAt = Number.NEGATIVE_INFINITY;
  return () => {
    if (performance.now() - readAt > tokenLifeMs) {
      token = readFileSync(file, "utf8").trim();
      readAt = performance.now();
    }
    return token;
  };
}
