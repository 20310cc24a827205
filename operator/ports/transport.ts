import https from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";
import { ApiError, apiErrorOf } from "./kubernetes-api.ts";

/** Largest answer that is read; a list of 20 KmsNodes has some 500 KB. */
const maxAnswerBytes = 32 * 1024 * 1024;
/** Largest line of a watch stream: one object. */
const maxLineBytes = 4 * 1024 * 1024;
/** Connections to one site at a time: informers hold one each, calls share the rest. */
const maxConnections = 32;

/** One HTTP call to an API server. */
export interface Call {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  readonly deadlineMs: number;
  /** Until the answer begins; the whole deadline when absent. */
  readonly beginsWithinMs?: number;
  /** Told when a stream has begun. */
  readonly onBegin?: (() => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Asked in the last moment before it is sent; throws when it must not be sent any more. */
  readonly checkBeforeSending?: () => void;
}

/** HTTPS to one API server. */
export interface Transport {
  /** The parsed answer. Throws ApiError. */
  call(call: Call): Promise<unknown>;
  /** Gives each line of the answer as it comes. Resolves at its end; `deadlineMs` bounds the whole stream. Throws ApiError. */
  stream(call: Call, onLine: (line: string) => void): Promise<void>;
  /** Closes all connections; calls under way fail. */
  reconnect(): void;
}

/**
 * HTTPS by node:https with the server and credentials of a KubeConfig.
 *
 * Why not client-node's own clients: version 2.0.1 makes a new undici Agent, that is, a new TLS connection, for every
 * single request (KubeConfig.createDispatcher), has no deadline a call, and its informer neither asks for bookmarks nor
 * restarts after an error. Its KubeConfig (parsing, token files, certificates) is used as it is.
 */
export function httpsTransport(kubeConfig: KubeConfig): Transport {
  const { server, proxyUrl } = kubeConfig.getCurrentCluster() ?? {};
  if (server === undefined) throw new TypeError("the kubeconfig has no current cluster");
  if (proxyUrl !== undefined && !isHttpProxy(proxyUrl))
    throw new TypeError("the kubeconfig names a proxy (proxy-url) that is not http or https");
  const newAgent = () => agentOf(proxyUrl);
  let agent = newAgent();

  async function open(call: Call, signal: AbortSignal): Promise<import("node:http").IncomingMessage> {
    const { url, options, body } = await requestOf(kubeConfig, server as string, call);
    call.checkBeforeSending?.();
    return await new Promise((resolve, reject) => {
      const request = https.request(url, { ...options, agent, signal }, resolve);
      request.on("socket", (socket) => socket.setNoDelay(true));
      request.on("error", reject);
      request.end(body);
    });
  }

  async function exchange<T>(
    call: Call,
    read: (answer: import("node:http").IncomingMessage) => Promise<T>,
  ): Promise<T> {
    const { deadlineMs, beginsWithinMs = deadlineMs } = call;
    const deadline = AbortSignal.timeout(deadlineMs);
    const begin = new AbortController();
    const timer = setTimeout(() => begin.abort(), beginsWithinMs).unref();
    const signals = call.signal === undefined ? [] : [call.signal];
    try {
      const answer = await open(call, AbortSignal.any([deadline, begin.signal, ...signals]));
      clearTimeout(timer);
      return await read(answer);
    } catch (error) {
      if (error instanceof ApiError) throw error;
      const waitedMs = begin.signal.aborted ? beginsWithinMs : deadline.aborted ? deadlineMs : undefined;
      throw silence(error, { waitedMs, proxyUrl });
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    call: (call) => exchange(call, readAnswer),
    stream: (call, onLine) => exchange(call, (answer) => readLines(answer, onLine, call.onBegin)),
    reconnect() {
      agent.destroy();
      agent = newAgent();
    },
  };
}

/** Of another kind, or without one, Node's agent would take no notice of the address. */
export function isHttpProxy(proxyUrl: string): boolean {
  return ["http:", "https:"].includes(URL.parse(proxyUrl)?.protocol ?? "");
}

/** The agent asks the proxy for a tunnel (CONNECT, RFC 9110 9.3.6), and speaks TLS with the API server through it. */
function agentOf(proxyUrl: string | undefined): https.Agent {
  const proxyEnv = proxyUrl === undefined ? {} : { proxyEnv: { HTTPS_PROXY: proxyUrl } };
  return new https.Agent({
    keepAlive: true,
    maxSockets: maxConnections,
    keepAliveMsecs: 10_000,
    timeout: 0,
    ...proxyEnv,
  });
}

async function requestOf(kubeConfig: KubeConfig, server: string, call: Call) {
  const url = new URL(server.replace(/\/$/, "") + call.path);
  for (const [name, value] of Object.entries(call.query ?? {})) url.searchParams.set(name, value);
  const credentials: https.RequestOptions = {};
  await kubeConfig.applyToHTTPSOptions(credentials);
  const { ca, cert, key, servername, rejectUnauthorized } = credentials;
  const body = call.body === undefined ? undefined : JSON.stringify(call.body);
  const headers: Record<string, string | number> = {
    ...(credentials.headers as Record<string, string>),
    accept: call.accept ?? "application/json",
    "user-agent": "keyfleet-operator",
  };
  if (body !== undefined) {
    headers["content-type"] = call.contentType ?? "application/json";
    headers["content-length"] = Buffer.byteLength(body);
  }
  const options: https.RequestOptions = { method: call.method, headers };
  // Absent and undefined are not the same to node:https.
  Object.assign(options, ca && { ca }, cert && { cert }, key && { key }, servername && { servername });
  if (rejectUnauthorized === false) options.rejectUnauthorized = false;
  return { url, options, body };
}

async function readAnswer(answer: import("node:http").IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer) {
    bytes += (chunk as Buffer).length;
    if (bytes > maxAnswerBytes) throw new ApiError("failed", `answer of more than ${maxAnswerBytes} bytes refused`);
    chunks.push(chunk as Buffer);
  }
  const parsed = parse(Buffer.concat(chunks).toString("utf8"));
  const status = answer.statusCode ?? 0;
  if (status < 200 || status > 299) throw apiErrorOf(status, (parsed ?? {}) as object);
  return parsed;
}

async function readLines(
  answer: import("node:http").IncomingMessage,
  onLine: (line: string) => void,
  onBegin = () => {},
): Promise<void> {
  if (answer.statusCode !== 200) await readAnswer(answer);
  onBegin();
  let rest = "";
  answer.setEncoding("utf8");
  for await (const chunk of answer) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > maxLineBytes)
      throw new ApiError("failed", `object of more than ${maxLineBytes} characters refused`);
    for (const line of lines) if (line !== "") onLine(line);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // a proxy's page, or "ok" of /readyz
  }
}

function silence(
  error: unknown,
  of: { readonly waitedMs: number | undefined; readonly proxyUrl: string | undefined },
): ApiError {
  const cause = error instanceof Error ? error : new Error(String(error));
  const code = (cause as { code?: string }).code;
  const refusal = code === "ERR_PROXY_TUNNEL" ? /HTTP\/1\.\d (\d{3})/.exec(cause.message)?.[1] : undefined;
  const said = refusal === undefined ? (code ?? cause.message) : `refused with ${refusal}`;
  const why = of.waitedMs === undefined ? said : `no answer within ${of.waitedMs} ms`;
  // The host alone: the address may hold a password.
  const through = of.proxyUrl === undefined ? "" : ` (through the proxy ${new URL(of.proxyUrl).host})`;
  return new ApiError("unreachable", `${why}${through}`, { cause });
}
