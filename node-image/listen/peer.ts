import type { TLSSocket } from "node:tls";
import { type Caller, callerOf } from "../access/identity.ts";

/** Who is at the other end (until when, in milliseconds since 1970), or why it is not let in. */
export type Peer =
  | { readonly kind: "caller"; readonly caller: Caller; readonly expiresAt: number }
  | { readonly kind: "rejected"; readonly reason: string };

/** Judges the client certificate after the handshake. */
export function peerOf(socket: TLSSocket): Peer {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return { kind: "rejected", reason: "no client certificate" };
  if (!socket.authorized) return { kind: "rejected", reason: reasonOf(socket) };
  // A certificate without a name would make everybody who has one the same caller.
  if (!certificate.subject) return { kind: "rejected", reason: "the client certificate has an empty subject" };
  const caller = callerOf(certificate.subject, certificate.issuer);
  return { kind: "caller", caller, expiresAt: certificate.validToDate.getTime() };
}

const words: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "the client certificate has expired",
  CERT_NOT_YET_VALID: "the client certificate is not valid yet: compare the clocks",
  UNABLE_TO_GET_ISSUER_CERT: "the client certificate's authority is not among the trusted ones",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "the client certificate's authority is not among the trusted ones",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the client certificate's authority is not among the trusted ones",
  SELF_SIGNED_CERT_IN_CHAIN: "the client certificate's authority is not among the trusted ones",
  DEPTH_ZERO_SELF_SIGNED_CERT: "the client certificate is self-signed and not trusted",
  INVALID_PURPOSE: "the client certificate is not meant for clients (extended key usage clientAuth)",
  CERT_REVOKED: "the client certificate is revoked",
};

function reasonOf(socket: TLSSocket): string {
  // Node types this an Error, but gives the code as a string.
  const code = String(socket.authorizationError);
  return words[code] ?? `the client certificate was not accepted (${code.slice(0, 80)})`;
}
