import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { systemClock } from "../../operator/ports/clock.ts";
import { type Kind, kinds } from "../../operator/ports/kinds.ts";
import { isApiError } from "../../operator/ports/kubernetes-api.ts";
import type { Clock, KubernetesObject } from "../../operator/ports/types.ts";
import type { FakeCluster } from "../../operator/testing/fake-cluster.ts";

/** API servers in memory, by namespace, behind one HTTPS door on loopback, as far as the operator asks. Watches end by the clock. */
export async function serveApi(
  namespaces: ReadonlyMap<string, FakeCluster>,
  folder: string,
  clock: Clock = systemClock,
): Promise<ServedApi> {
  const { key, cert } = makeCertificate(folder);
  const asked = new Map<string, number>();
  let inFlight = 0;
  const server = https.createServer({ key, cert }, (request, response) => {
    const what = whatIsAsked(request);
    asked.set(what, (asked.get(what) ?? 0) + 1);
    inFlight += 1;
    answer({ namespaces, clock, request, response })
      .catch((error: unknown) => refuse(response, error))
      .finally(() => {
        inFlight -= 1;
      });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const kubeconfig = (namespace: string, at = port) =>
    JSON.stringify({
      ...{ apiVersion: "v1", kind: "Config", "current-context": "bench" },
      clusters: [
        { name: "bench", cluster: { server: `https://127.0.0.1:${at}`, "certificate-authority-data": base64(cert) } },
      ],
      users: [{ name: "bench", user: { token: "nobody asks for it" } }],
      contexts: [{ name: "bench", context: { cluster: "bench", user: "bench", namespace } }],
    });
  const stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return { kubeconfig, stop, port, asked, inFlight: () => inFlight };
}

/** One door to API servers in memory. */
export interface ServedApi {
  readonly port: number;
  /** Of a namespace; the port is another one where something stands between. */
  kubeconfig(namespace: string, port?: number): string;
  /** Requests so far: "watch Pod of dc1", "get Lease of dc2", "patch KmsNode of dc1". */
  readonly asked: ReadonlyMap<string, number>;
  /** Requests that are being answered, watches left out. */
  inFlight(): number;
  stop(): void;
}

/** In the words of Kubernetes: the verb, the kind and the namespace. */
function whatIsAsked(request: IncomingMessage): string {
  const url = new URL(request.url ?? "", "https://server");
  const [, namespace, plural = ""] = /\/namespaces\/([^/]+)\/([^/]+)/.exec(url.pathname) ?? [];
  const verb = url.searchParams.get("watch") === "1" ? "watch" : (request.method ?? "").toLowerCase();
  return `${verb} ${kindsByPlural.get(plural) ?? plural} of ${namespace}`;
}

function makeCertificate(folder: string) {
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const words = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const { status, stderr } = spawnSync("openssl", ["req", ...words, ...names, "-keyout", key, "-out", cert]);
  if (status !== 0) throw new Error(`openssl must be installed: ${stderr}`);
  return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
}

function base64(value: string): string {
  return Buffer.from(value).toString("base64");
}

const kindsByPlural = new Map(Object.entries(kinds).map(([kind, { plural }]) => [plural as string, kind as Kind]));

interface Exchange {
  readonly namespaces: ReadonlyMap<string, FakeCluster>;
  readonly clock: Clock;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

async function answer({ namespaces, clock, request, response }: Exchange): Promise<void> {
  const url = new URL(request.url ?? "", "https://server");
  const [, namespace = "", plural = "", name, subresource] =
    /\/namespaces\/([^/]+)\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(url.pathname) ?? [];
  const [api, kind] = [namespaces.get(namespace), kindsByPlural.get(plural)];
  if (api === undefined || kind === undefined) return send(response, 404, { message: `no ${url.pathname}` });
  // Its end is not waited for: it is no request that is being answered.
  if (url.searchParams.get("watch") === "1") return void watch(api, kind, { url, response, clock });
  const body = request.method === "GET" ? undefined : JSON.parse((await text(request)) || "{}");
  send(response, 200, await call(api, { kind, name, subresource, request, url, body }));
}

interface Asked {
  readonly kind: Kind;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  readonly request: IncomingMessage;
  readonly url: URL;
  readonly body: KubernetesObject & { readonly preconditions?: object };
}

async function call(api: FakeCluster, asked: Asked): Promise<unknown> {
  const { kind, name, subresource, request, url, body } = asked;
  const isMetadata = request.headers.accept?.includes("PartialObjectMetadata") ?? false;
  switch (request.method) {
    case "POST":
      return await api.create(body);
    case "PUT":
      return await api.update(body);
    case "PATCH": {
      const fieldManager = url.searchParams.get("fieldManager") ?? "";
      return await api.apply(body, { fieldManager, ...(subresource === "status" && { subresource }) });
    }
    case "DELETE":
      return await api.delete(kind, name ?? "", body.preconditions ?? {});
    default:
      if (name === undefined) return isMetadata ? await probe(api) : await list(api, kind, url);
      return found(await (isMetadata ? api.getMetadata(kind, name) : api.get(kind, name)), name);
  }
}

async function list(api: FakeCluster, kind: Kind, url: URL): Promise<object> {
  const { items, resourceVersion } = await api.list(kind, selectorOf(url));
  return { kind: `${kind}List`, items, metadata: { resourceVersion } };
}

async function probe(api: FakeCluster): Promise<object> {
  return { kind: "PartialObjectMetadataList", items: [], metadata: { resourceVersion: await api.probe() } };
}

function found<T>(object: T | undefined, name: string): T {
  if (object !== undefined) return object;
  throw Object.assign(new Error(`${name} not found`), { status: 404 });
}

async function watch(
  api: FakeCluster,
  kind: Kind,
  { url, response, clock }: { readonly url: URL; readonly response: ServerResponse; readonly clock: Clock },
): Promise<void> {
  const closed = new AbortController();
  const cancel = clock.after(Number(url.searchParams.get("timeoutSeconds") ?? 270) * 1000, () => closed.abort());
  response.on("close", () => closed.abort());
  response.writeHead(200).flushHeaders();
  const resourceVersion = url.searchParams.get("resourceVersion") ?? "";
  const onEvent = (event: object) => void response.write(`${JSON.stringify(event)}\n`);
  await api.watch(kind, { ...selectorOf(url), resourceVersion, signal: closed.signal, onEvent }).catch(() => {});
  cancel();
  response.end();
}

function selectorOf(url: URL) {
  const labelSelector = url.searchParams.get("labelSelector");
  return labelSelector === null ? {} : { labelSelector };
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body ?? {}));
}

function refuse(response: ServerResponse, error: unknown): void {
  const { status = 500, message } = error as { status?: number; message: string };
  send(response, status, { message, ...(isApiError(error, "alreadyExists") && { reason: "AlreadyExists" }) });
}
