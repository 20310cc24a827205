import type { IncomingMessage } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import { parse } from "yaml";

/** Reads and writes objects of one API server. */
export interface ApiClient {
  /** One call; a PATCH is a merge patch. Throws when the answer is no success. */
  request<T>(method: "GET" | "POST" | "PATCH" | "DELETE", path: string, body?: unknown): Promise<T>;
  /** Calls back on each event of a list, and after each new connection; never ends. */
  watch(path: string, onEvent: () => void): Promise<never>;
}

const answerTimeoutMs = 10_000;
const watchSeconds = 600;
const retryMs = 1000;
const maxAnswerBytes = 32 * 1024 * 1024;

/** A client for the API server of a kubeconfig that holds a client certificate. */
export function apiClient(kubeconfig: string): ApiClient {
  const config = parse(kubeconfig);
  const cluster = config.clusters[0].cluster;
  const user = config.users[0].user;
  const decode = (text: string) => Buffer.from(text, "base64");
  const agent = new Agent({
    keepAlive: true,
    ca: decode(cluster["certificate-authority-data"]),
    cert: decode(user["client-certificate-data"]),
    key: decode(user["client-key-data"]),
  });
  const open = (method: string, path: string, body?: unknown) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
      const call = httpsRequest(
        new URL(path, cluster.server),
        { method, agent, headers: { "content-type": type } },
        resolve,
      );
      call.setTimeout(answerTimeoutMs, () => call.destroy(new Error(`no answer to ${method} ${path}`)));
      call.on("error", reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });

  return {
    request: async (method, path, body) => {
      const response = await open(method, path, body);
      const text = await readAll(response);
      if ((response.statusCode ?? 500) >= 300)
        throw new Error(`${method} ${path}: ${response.statusCode} ${text.slice(0, 300)}`);
      return JSON.parse(text);
    },
    watch: async (path, onEvent) => {
      for (;;) {
        try {
          const response = await open("GET", `${path}?watch=1&timeoutSeconds=${watchSeconds}`);
          response.socket.setTimeout(0);
          onEvent();
          for await (const _ of response) onEvent();
        } catch {
          // The API server is starting or gone: the next try is after the same wait.
        }
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
    },
  };
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    size += chunk.length;
    if (size > maxAnswerBytes) throw new Error(`an answer is longer than ${maxAnswerBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
