import { X509Certificate } from "node:crypto";
import type { Cluster, User } from "@kubernetes/client-node";
// Not from the index, which loads the models of every kind (libraries/load-less.ts).
import { KubeConfig } from "@kubernetes/client-node/dist/config.js";
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
      readonly expiresAtMs: number | undefined;
    }
  | { readonly ok: false; readonly problem: string };

/**
 * Reads the kubeconfig of a peer site from its Secret. Only inline credentials are taken: whoever may write that Secret
 * must not get the operator to run a program (exec), to read files of its own pod (tokenFile: it would send this
 * site's token to a stranger), or to talk to a server that it cannot verify.
 */
export function readPeerKubeconfig(text: string, nowMs: number): PeerKubeconfig {
  if (text.length > maxKubeconfigBytes) return refused(`is larger than ${maxKubeconfigBytes} bytes`);
  const kubeConfig = new KubeConfig();
  try {
    kubeConfig.loadFromString(text);
  } catch {
    // The parser's message quotes the text, which has credentials in it.
    return refused("is not valid YAML of a kubeconfig");
  }
  const context = kubeConfig.getContextObject(kubeConfig.getCurrentContext());
  const cluster = kubeConfig.getCurrentCluster();
  const user = kubeConfig.getCurrentUser();
  if (!context || !cluster || !user) return refused("has no current-context with a cluster and a user");
  const unsafe = unsafeServer(cluster) ?? unsafeUser(user);
  if (unsafe !== undefined) return refused(unsafe);
  try {
    const expiresAtMs = expiry(user);
    if (expiresAtMs !== undefined && expiresAtMs <= nowMs)
      return refused(`expired at ${new Date(expiresAtMs).toISOString()}`);
    return { ok: true, kubeConfig, namespace: context.namespace, expiresAtMs };
  } catch {
    return refused("has a client certificate that cannot be read");
  }
}

function unsafeServer({ server, skipTLSVerify, caFile, proxyUrl }: Cluster): string | undefined {
  if (!server?.startsWith("https://")) return "names a server that is not https";
  if (skipTLSVerify) return "switches off the verification of the server (insecure-skip-tls-verify)";
  if (caFile) return namesFiles;
  return proxyUrl === undefined || isHttpProxy(proxyUrl)
    ? undefined
    : "names a proxy (proxy-url) that is not http or https";
}

function unsafeUser({ certFile, keyFile, token, certData, keyData, exec, authProvider }: User): string | undefined {
  if (certFile || keyFile) return namesFiles;
  const inline = token ?? (certData && keyData);
  if (inline && !exec && !authProvider) return undefined;
  return "needs a token or client-certificate-data with client-key-data";
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
    return typeof claims.exp === "number" ? claims.exp * 1000 : undefined;
  } catch {
    return undefined; // not every token is a JWT
  }
}
