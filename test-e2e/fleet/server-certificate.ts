import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../sites/command.ts";
import { namespace, type Place } from "./places.ts";

/** A certificate for servers that no operator signed, and its key. */
export interface ServerCertificate {
  readonly certificatePem: string;
  readonly keyPem: string;
  /** SHA-256 as openssl writes it, AA:BB:... */
  readonly fingerprint: string;
}

/** Makes one for servers at these addresses; it is its own CA. */
export async function aServerCertificate(addresses: readonly string[]): Promise<ServerCertificate> {
  const folder = mkdtempSync(join(tmpdir(), "keyfleet-certificate-"));
  try {
    const [key, certificate] = [join(folder, "tls.key"), join(folder, "tls.crt")];
    const names = `subjectAltName=${addresses.map((address) => `IP:${address}`).join()}`;
    const how = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    const out = ["-subj", "/O=bank/CN=kmip", "-addext", names, "-keyout", key, "-out", certificate];
    await run(["openssl", "req", ...how, ...out]);
    const certificatePem = readFileSync(certificate, "utf8");
    const fingerprint = new X509Certificate(certificatePem).fingerprint256;
    return { certificatePem, keyPem: readFileSync(key, "utf8"), fingerprint };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Puts it into a Secret of every site, as `kubectl create secret tls` does. */
export async function giveCertificate(place: Place, name: string, given: ServerCertificate): Promise<void> {
  const stringData = { "tls.crt": given.certificatePem, "tls.key": given.keyPem };
  const secret = {
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/tls",
    metadata: { name, namespace },
    stringData,
  };
  const apply = (site: string) => place.sites.kubectl(site, ["apply", "-f", "-"], JSON.stringify(secret));
  await Promise.all(place.sites.names.map(apply));
}

/** Fingerprint (SHA-256) of the certificate that a client is shown at HOST:PORT, by openssl. */
export async function shownAt(place: Place, endpoint: string): Promise<string> {
  const script = 'openssl s_client -connect "$1" </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256';
  const { stdout } = await place.sites.exec(["bash", "-c", script, "shown", endpoint], { timeoutMs: 20_000 });
  return stdout.trim().replace(/^.*=/, "");
}
