import { X509Certificate } from "node:crypto";

/**
 * The CAs of clients that are in force. A bundle of which anything cannot be read leaves the one before in force: OpenSSL would
 * stop at that place without a word, and lock out everybody whose CA stands behind it.
 */
export class ClientAuthorities {
  #asked = "";
  #inForce = "";
  #problem: string | undefined;

  /** What is wrong with the bundle that was asked for last, beginning with its field. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** PEM of the CAs to trust, for a bundle of the document; without a good one before, of those in it that can be read. */
  of(bundle: string): string {
    if (bundle === this.#asked) return this.#inForce;
    const { readable, unreadable } = sorted(bundle);
    const before = this.#inForce;
    const keeps = unreadable > 0 && before !== "";
    this.#asked = bundle;
    this.#inForce = keeps ? before : readable.join("");
    this.#problem = unreadable === 0 ? undefined : problemOf(unreadable, keeps);
    return this.#inForce;
  }
}

function sorted(bundle: string): { readonly readable: readonly string[]; readonly unreadable: number } {
  const parts = bundle.split(/(?=-----BEGIN )/).filter((part) => part.trim() !== "");
  // Words before the first certificate are what people and tools write there.
  if (parts.length > 1 && parts[0]?.startsWith("-----BEGIN ") === false) parts.shift();
  const readable = parts.flatMap(asPem);
  return { readable, unreadable: parts.length - readable.length };
}

/** Written anew, so that OpenSSL reads just what was read here. */
function asPem(part: string): string[] {
  try {
    return [new X509Certificate(part).toString()];
  } catch {
    return [];
  }
}

function problemOf(unreadable: number, keeps: boolean): string {
  const what = unreadable === 1 ? "a certificate in it" : `${unreadable} certificates in it`;
  const whom = keeps ? "the CAs of before are trusted" : "the others are trusted";
  return `clients.caBundle: ${what} cannot be read, ${whom} meanwhile; correct what spec.clients.caBundleRefs names`;
}
