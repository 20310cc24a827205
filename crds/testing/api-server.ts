import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request as httpsRequest } from "node:https";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** Answer of the API server: HTTP status and the parsed JSON body. */
export interface ApiAnswer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: any Kubernetes object; tests look at what they know.
  readonly body: any;
}

/** A Kubernetes API without any machine: etcd and kube-apiserver on loopback, in a folder of their own. */
export interface ApiServer extends AsyncDisposable {
  readonly url: string;
  readonly token: string;
  /** PEM of the certificate authority of the API server. */
  readonly certificateAuthority: string;
  /** A kubeconfig (JSON) of an administrator. */
  readonly kubeconfig: string;
  /** One request; an object is sent as JSON, a text as YAML, PATCH as server-side apply. */
  request(method: string, path: string, body?: unknown): Promise<ApiAnswer>;
  /** Applies the CRD manifests of this package and waits until they are served. */
  installCrds(): Promise<void>;
  stop(): Promise<void>;
}

const startTimeoutMs = 30_000;
const pollMs = 50;
const token = "only-on-loopback-in-a-test";

/** Starts etcd and kube-apiserver from the cache of tools; fails with what to do when they are missing. */
export async function startApiServer(): Promise<ApiServer> {
  const etcdProgram = tool("etcd-", "etcd");
  const serverProgram = tool("kubernetes-", "kube-apiserver");
  const folder = await mkdtemp(join(tmpdir(), "keyfleet-api-"));
  const [etcdPort, peerPort, port] = await freePorts(3);
  await writeKeys(folder);
  const processes: ChildProcess[] = [];
  const killAll = () => {
    for (const child of processes) child.kill("SIGKILL");
  };
  process.once("exit", killAll);
  const stop = async () => {
    process.removeListener("exit", killAll);
    const running = processes.filter((child) => child.exitCode === null && child.signalCode === null);
    const ended = running.map((child) => once(child, "exit"));
    killAll();
    await Promise.all(ended);
    await rm(folder, { recursive: true, force: true });
  };
  const output: string[] = [];
  const start = (program: string, flags: readonly string[]) => {
    // It ends with this process, however that ends.
    const words = ["--pdeathsig", "KILL", "--", program, ...flags];
    const child = spawn("setpriv", words, { stdio: ["ignore", "ignore", "pipe"], cwd: folder });
    child.stderr?.on("data", (data: Buffer) => keepLast(output, data.toString()));
    processes.push(child);
  };
  start(etcdProgram, etcdFlags(folder, `http://127.0.0.1:${etcdPort}`, `http://127.0.0.1:${peerPort}`));
  start(serverProgram, serverFlags(folder, Number(port), `http://127.0.0.1:${etcdPort}`));
  try {
    return await whenReady(folder, { url: `https://127.0.0.1:${port}`, processes, stop });
  } catch (error) {
    await stop();
    throw new Error(`the API server did not start: ${output.join("").slice(-2000)}`, { cause: error });
  }
}

interface Started {
  readonly url: string;
  readonly processes: readonly ChildProcess[];
  readonly stop: () => Promise<void>;
}

async function whenReady(folder: string, { url, processes, stop }: Started): Promise<ApiServer> {
  const deadlineMs = performance.now() + startTimeoutMs;
  const certificateFile = join(folder, "apiserver.crt");
  for (;;) {
    if (performance.now() > deadlineMs) throw new Error(`not ready within ${startTimeoutMs} ms`);
    if (processes.some((child) => child.exitCode !== null)) throw new Error("a process ended");
    await delay(pollMs);
    if (!existsSync(certificateFile)) continue;
    const certificateAuthority = await readFile(certificateFile, "utf8");
    const call = { url, certificateAuthority };
    const ready = await send(call, "GET", "/readyz").catch(() => undefined);
    if (ready?.status !== 200) continue;
    const request = (method: string, path: string, body?: unknown) => send(call, method, path, body);
    return {
      ...{ url, token, certificateAuthority, request, stop },
      kubeconfig: kubeconfig(url, certificateAuthority),
      installCrds: () => installCrds(call),
      [Symbol.asyncDispose]: stop,
    };
  }
}

/** The manifests go to the server as they are written, in YAML. */
async function installCrds(call: Target): Promise<void> {
  const manifests = new URL("../manifests/", import.meta.url);
  const collection = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?fieldValidation=Strict";
  for (const file of readdirSync(manifests)) {
    const answer = await send(call, "POST", collection, await readFile(new URL(file, manifests), "utf8"));
    if (answer.status !== 201) throw new Error(`${file} is refused: ${answer.body.message}`);
    await untilServed(call, `/apis/keyfleet.io/v1alpha1/${file.replace(".yaml", "")}`);
  }
}

async function untilServed(call: Target, path: string): Promise<void> {
  const deadlineMs = performance.now() + startTimeoutMs;
  while ((await send(call, "GET", path)).status !== 200) {
    if (performance.now() > deadlineMs) throw new Error(`${path} is not served`);
    await delay(pollMs);
  }
}

function tool(prefix: string, program: string): string {
  const base = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  const tools = join(process.env.KEYFLEET_CACHE ?? join(base, "keyfleet"), "tools");
  const versions = existsSync(tools) ? readdirSync(tools).filter((name) => name.startsWith(prefix)) : [];
  const found = versions.map((name) => join(tools, name, program)).filter((path) => existsSync(path));
  const newest = found.sort().at(-1);
  if (!newest) throw new Error(`${program} is not in ${tools}; run test-e2e/sites/build-tools.sh`);
  return newest;
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

async function writeKeys(folder: string): Promise<void> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = privateKey.export({ type: "sec1", format: "pem" });
  await writeFile(join(folder, "service-accounts.key"), key, { mode: 0o600 });
  await writeFile(join(folder, "tokens.csv"), `${token},admin,admin,system:masters\n`, { mode: 0o600 });
}

function etcdFlags(folder: string, client: string, peer: string): string[] {
  const urls = [`--listen-client-urls=${client}`, `--advertise-client-urls=${client}`, `--listen-peer-urls=${peer}`];
  const cluster = [`--initial-advertise-peer-urls=${peer}`, `--initial-cluster=default=${peer}`];
  return [`--data-dir=${join(folder, "etcd")}`, "--unsafe-no-fsync", "--log-level=error", ...urls, ...cluster];
}

function serverFlags(folder: string, port: number, etcd: string): string[] {
  const serviceAccounts = join(folder, "service-accounts.key");
  return [
    `--etcd-servers=${etcd}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${port}`,
    `--cert-dir=${folder}`,
    // Nothing reaches this API by a Service, and a loopback address could not be announced as one.
    "--endpoint-reconciler-type=none",
    "--service-cluster-ip-range=10.254.0.0/24",
    "--authorization-mode=RBAC",
    `--token-auth-file=${join(folder, "tokens.csv")}`,
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${serviceAccounts}`,
    `--service-account-signing-key-file=${serviceAccounts}`,
    "--disable-admission-plugins=ServiceAccount",
    "--v=0",
  ];
}

function keepLast(output: string[], text: string): void {
  output.push(text);
  if (output.length > 50) output.shift();
}

function kubeconfig(url: string, certificateAuthority: string): string {
  const authority = Buffer.from(certificateAuthority).toString("base64");
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server: url, "certificate-authority-data": authority } }],
    users: [{ name: "admin", user: { token } }],
    contexts: [{ name: "test", context: { cluster: "test", user: "admin" } }],
    "current-context": "test",
  });
}

interface Target {
  readonly url: string;
  readonly certificateAuthority: string;
}

function send(target: Target, method: string, path: string, body?: unknown): Promise<ApiAnswer> {
  const plain = typeof body === "string" ? "application/yaml" : "application/json";
  const contentType = method === "PATCH" ? "application/apply-patch+yaml" : plain;
  const headers = { authorization: `Bearer ${token}`, "content-type": contentType };
  const options = { method, headers, ca: target.certificateAuthority, agent: false as const, timeout: startTimeoutMs };
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest(target.url + path, options, async (incoming) => {
      try {
        const text = (await incoming.toArray()).join("");
        const json = incoming.headers["content-type"]?.includes("json");
        resolve({ status: incoming.statusCode ?? 0, body: json ? JSON.parse(text) : text });
      } catch (error) {
        reject(error);
      }
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer to ${method} ${path}`)));
    outgoing.on("error", reject).end(body === undefined || typeof body === "string" ? body : JSON.stringify(body));
  });
}
