import { createPrivateKey, type KeyObject, type X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { certificatesOf } from "./certificate.ts";

/** A certificate that the administrator gave an interface, instead of the one of the site's CA. */
export interface OwnCertificateParts {
  readonly chainPem: string;
  readonly privateKeyPem: string;
  /** ISO 8601. */
  readonly notAfter: string;
}

/** What is known of it: good parts, which may be those of before, and what is wrong with the newest files. */
export interface OwnCertificateFacts {
  readonly parts: OwnCertificateParts | undefined;
  readonly problem: string | undefined;
}

const none: OwnCertificateFacts = { parts: undefined, problem: undefined };
const fileMaxBytes = 256 * 1024;

/**
 * Watches tls.crt and tls.key in a folder, as a Secret is mounted there or people put them. Files that cannot be used leave
 * the last good ones in force, and say why.
 */
export class OwnCertificate {
  readonly #folder: string | undefined;
  readonly #field: string;
  #facts: OwnCertificateFacts = none;
  #read = "";

  constructor(folder: string | undefined, field: string) {
    this.#folder = folder;
    this.#field = field;
  }

  /** Reads again when the files have changed; also tells of the end of what is in force. `nowMs` since 1970. */
  look(nowMs: number): OwnCertificateFacts {
    if (this.#folder === undefined) return none;
    const stamp = stampOf(this.#folder);
    // Files that could not be used may be good without any change: a certificate that was not valid yet is so some day.
    if (stamp !== this.#read || this.#facts.problem !== undefined) this.#take(this.#folder, nowMs);
    this.#read = stamp;
    const { parts, problem } = this.#facts;
    if (problem !== undefined || parts === undefined || nowMs < Date.parse(parts.notAfter)) return this.#facts;
    return { parts, problem: `${this.#field}: it ended at ${parts.notAfter}; put a new one into the Secret` };
  }

  #take(folder: string, nowMs: number): void {
    try {
      this.#facts = { parts: goodParts(read(folder, "tls.crt"), read(folder, "tls.key"), nowMs), problem: undefined };
    } catch (error) {
      const using = this.#facts.parts === undefined ? "the site's certificate is used" : "the one of before is used";
      this.#facts = {
        parts: this.#facts.parts,
        problem: `${this.#field}: ${(error as Error).message}; ${using} meanwhile`,
      };
    }
  }
}

function goodParts(chainPem: string, privateKeyPem: string, nowMs: number): OwnCertificateParts {
  const [leaf] = readable(chainPem);
  if (leaf === undefined) throw new Error("tls.crt holds no certificate");
  const notAfter = leaf.validToDate.toISOString();
  if (nowMs >= leaf.validToDate.getTime()) throw new Error(`the certificate in tls.crt ended at ${notAfter}`);
  if (nowMs < leaf.validFromDate.getTime())
    throw new Error(`the certificate in tls.crt is valid from ${leaf.validFromDate.toISOString()} only`);
  if (!leaf.checkPrivateKey(privateKeyOf(privateKeyPem)))
    throw new Error("the certificate in tls.crt is not for the key in tls.key");
  return { chainPem, privateKeyPem, notAfter };
}

function readable(pem: string): X509Certificate[] {
  try {
    return certificatesOf(pem);
  } catch {
    throw new Error("tls.crt cannot be read as PEM certificates");
  }
}

/** The cause is left out: it must never show anything of the file. */
function privateKeyOf(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new Error("tls.key cannot be read as a PEM private key without a passphrase");
  }
}

function read(folder: string, name: string): string {
  try {
    if (statSync(join(folder, name)).size > fileMaxBytes) throw new RangeError("too large");
    return readFileSync(join(folder, name), "utf8");
  } catch (error) {
    if (error instanceof RangeError) throw new Error(`${name} is larger than ${fileMaxBytes} bytes`);
    throw new Error(`${name} is not there`);
  }
}

/** Differs when a file was changed or replaced. */
function stampOf(folder: string): string {
  return ["tls.crt", "tls.key"].map((name) => stampOfFile(join(folder, name))).join(" ");
}

function stampOfFile(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? "absent" : `${found.ino}/${found.mtimeMs}/${found.size}`;
}
