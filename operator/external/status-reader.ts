import { request } from "node:https";
import type { PeerCertificate } from "node:tls";
import type { KmsNodeStatus } from "@keyfleet/crds/kms-node.ts";

/** Whom to ask, as whom, and how long to wait. */
export interface StatusCall {
  readonly address: string;
  readonly port: number;
  /** What the certificate of the node must name. */
  readonly node: { readonly name: string; readonly site: string; readonly cluster: string };
  /** PEM: of the CAs that the node's certificate must come from; of the caller's chain and key. */
  readonly trustPem: string;
  readonly chainPem: string;
  readonly privateKeyPem: string;
  readonly deadlineMs: number;
}

/** What an External node showed, or why it did not, for people. */
export type Reading =
  | { readonly ok: true; readonly status: KmsNodeStatus }
  | { readonly ok: false; readonly problem: string };

/** A status of a fleet of 20 nodes has some 20 KB. */
const maxBytes = 512 * 1024;

/** Asks an External node for its status: HTTPS, TLS 1.3, certificates of the mesh on both sides. Never throws. */
export function readStatus(call: StatusCall): Promise<Reading> {
  // No CA must never mean "any public one".
  if (!call.trustPem.includes("-----BEGIN CERTIFICATE-----"))
    return Promise.resolve({ ok: false, problem: "this site has no CA yet" });
  return ask(call).then(parsed, (error: NodeJS.ErrnoException) => ({
    ok: false,
    problem:
      error.name === "TimeoutError" || error.name === "AbortError"
        ? `no answer within ${call.deadlineMs} ms`
        : short(error.message),
  }));
}

interface Answer {
  readonly code: number;
  readonly body: string;
}

function ask(call: StatusCall): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: call.address,
        port: call.port,
        path: "/status",
        agent: false,
        ca: call.trustPem,
        cert: call.chainPem,
        key: call.privateKeyPem,
        minVersion: "TLSv1.3",
        ecdhCurve: "X25519MLKEM768:X25519",
        checkServerIdentity: (_host, certificate) => identityProblem(certificate, call.node),
        signal: AbortSignal.timeout(call.deadlineMs),
      },
      (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > maxBytes) outgoing.destroy(new Error(`its status is larger than ${maxBytes} bytes`));
          else chunks.push(chunk);
        });
        response.on("end", () =>
          resolve({ code: response.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") }),
        );
        response.on("error", reject);
      },
    );
    outgoing.on("error", reject);
    outgoing.end();
  });
}

/** The name in the certificate counts, not the address: a node may move, and only one node has this name. */
function identityProblem({ subject }: PeerCertificate, { name, site, cluster }: StatusCall["node"]): Error | undefined {
  if (subject?.CN === name && subject.OU === site && subject.O === cluster) return undefined;
  return new Error(`its certificate is that of CN=${subject?.CN},OU=${subject?.OU},O=${subject?.O}`);
}

function parsed({ code, body }: Answer): Reading {
  if (code !== 200) return { ok: false, problem: `it answered ${code}: ${short(body)}` };
  try {
    const { status } = JSON.parse(body) as { status?: unknown };
    if (typeof status !== "object" || status === null || Array.isArray(status)) throw new TypeError("no status");
    return { ok: true, status: status as KmsNodeStatus };
  } catch {
    return { ok: false, problem: "what it answered is no status" };
  }
}

function short(text: string): string {
  return text.replace(/\s+/g, " ").trim().slice(0, 200);
}
