import { X509Certificate } from "node:crypto";
import type { Cluster, User } from "@kubernetes/client-node";
// Not from the index, which loads the models of every kind (libraries/load-less.ts).
import { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { parse } from "yaml";
import { isHttpProxy } from "./transport.ts";

/** A kubeconfig is some 5 KB; a Secret may hold 1 MB. */
const maxKubeconfigBytes = 64 * 1024;
const namesFiles = "names files; put their contents in (…-data)";

/** A usable kubeconfig of a peer site, or why it is not and what to do. */
export type PeerKubeconfig =
  | {
      readonly ok: true;
      readonly kubeConfig: KubeConfig;
      readonly namespace: string | undefined;
      /** By its own words; whether that is over the server decides, whose clock may be the right one. */
      readonly expiresAtMs: number | undefined;
    }
  | { readonly ok: false; readonly problem: string };

/** A place in a kubeconfig: whatever somebody wrote there. */
type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads the kubeconfig of a peer site from its Secret. Only inline credentials are taken: whoever may write that Secret
 * must not get the operator to run a program (exec), to read files of its own pod (tokenFile: it would send this
 * site's token to a stranger), or to talk to a server that it cannot verify. So the library, which opens the file of a
 * `token-file` while it parses, is given only what was looked at here. Never throws.
 */
export function readPeerKubeconfig(text: string): PeerKubeconfig {
  if (text.length > maxKubeconfigBytes) return refused(`is larger than ${maxKubeconfigBytes} bytes`);
  const all = parsed(text);
  // The parser's message quotes the text, which has credentials in it.
  if (all === undefined) return refused("is not valid YAML of a kubeconfig");
  const context = entry(all, "context", all["current-context"]);
  const cluster = entry(all, "cluster", context?.cluster);
  const user = entry(all, "user", context?.user);
  if (!context || !cluster || !user) return refused("has no current-context with a cluster and a user");
  const unsafe = unsafeServer(cluster) ?? unsafeUser(user);
  if (unsafe !== undefined) return refused(unsafe);
  const { clusters, users } = { clusters: [serverOf(cluster)], users: [credentialsOf(user)] };
  const kubeConfig = new KubeConfig();
  const only = { name, cluster: name, user: name };
  kubeConfig.loadFromOptions({ clusters, users, contexts: [only], currentContext: name });
  try {
    return { ok: true, kubeConfig, namespace: textOf(context.namespace), expiresAtMs: expiry(users[0] as User) };
  } catch {
    return refused("has a client certificate that cannot be read");
  }
}

/** Everything in it is called so: only one is taken. */
const name = "peer";

function parsed(text: string): Fields | undefined {
  try {
    // Warnings go to the log, with the line that they are about.
    return fieldsOf(parse(text, { logLevel: "error" }));
  } catch {
    return undefined;
  }
}

/** What `contexts`, `clusters` or `users` has under that name. */
function entry(all: Fields, kind: "context" | "cluster" | "user", wanted: unknown): Fields | undefined {
  const list = all[`${kind}s`];
  if (!Array.isArray(list) || typeof wanted !== "string") return undefined;
  return fieldsOf(list.map(fieldsOf).find((one) => one?.name === wanted)?.[kind]);
}

function unsafeServer(cluster: Fields): string | undefined {
  const server = textOf(cluster.server);
  if (!server?.startsWith("https://")) return "names a server that is not https";
  if (!URL.canParse(server)) return "names a server whose address cannot be read";
  if (cluster["insecure-skip-tls-verify"])
    return "switches off the verification of the server (insecure-skip-tls-verify)";
  if (cluster["certificate-authority"]) return namesFiles;
  const proxyUrl = cluster["proxy-url"];
  return proxyUrl === undefined || isHttpProxy(String(proxyUrl))
    ? undefined
    : "names a proxy (proxy-url) that is not http or https";
}

function serverOf(cluster: Fields): Cluster {
  const [caData, tlsServerName] = [textOf(cluster["certificate-authority-data"]), textOf(cluster["tls-server-name"])];
  const proxyUrl = textOf(cluster["proxy-url"]);
  return {
    ...{ name, server: textOf(cluster.server) ?? "", skipTLSVerify: false },
    ...(caData === undefined ? {} : { caData }),
    ...(tlsServerName === undefined ? {} : { tlsServerName }),
    ...(proxyUrl === undefined ? {} : { proxyUrl }),
  };
}

/** Fields of a user that name a file, kubectl's and the library's. */
const fileFields = ["client-certificate", "client-key", "tokenFile", "token-file"] as const;

function unsafeUser(user: Fields): string | undefined {
  if (fileFields.some((field) => user[field])) return namesFiles;
  const { token, certData, keyData } = credentialsOf(user);
  const inline = token ?? (certData && keyData);
  if (inline && !user.exec && !user["auth-provider"]) return undefined;
  return "needs a token or client-certificate-data with client-key-data";
}

function credentialsOf(user: Fields): User {
  const [certData, keyData] = [textOf(user["client-certificate-data"]), textOf(user["client-key-data"])];
  const token = textOf(user.token);
  return {
    name,
    ...(token === undefined ? {} : { token }),
    ...(certData === undefined ? {} : { certData }),
    ...(keyData === undefined ? {} : { keyData }),
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function refused(what: string): PeerKubeconfig {
  return { ok: false, problem: what };
}

function expiry(user: { readonly token?: string; readonly certData?: string }): number | undefined {
  if (user.token !== undefined) return tokenExpiry(user.token);
  if (user.certData === undefined) return undefined;
  return Date.parse(new X509Certificate(Buffer.from(user.certData, "base64")).validTo);
}

/** When a service account token ends; its claims are read, not trusted: the server decides. */
function tokenExpiry(token: string): number | undefined {
  try {
    const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
    if (typeof claims.exp !== "number") return undefined;
    const expiresAtMs = new Date(claims.exp * 1000).getTime();
    return Number.isNaN(expiresAtMs) ? undefined : expiresAtMs;
  } catch {
    return undefined; // not every token is a JWT
  }
}
