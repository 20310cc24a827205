import { existsSync, readFileSync } from "node:fs";
import { replaceFile } from "../config/durable-file.ts";
import type { Log } from "../config/source.ts";
import { type CertificateSpec, certificatesOf, rememberedCertificateFacts } from "./certificate.ts";
import type { CertificateFacts } from "./facts.ts";
import type { Identity } from "./identity.ts";

/** The certificate of the site's CA that this node uses, and what is known of it. */
export interface NodeCertificateInUse {
  readonly facts: CertificateFacts;
  /** PEM, leaf first; undefined while there is none that can be used. */
  readonly chainPem: string | undefined;
}

/**
 * Takes certificates out of the document, and keeps the last good one on the volume: one that cannot be used, as the clock
 * was wrong that signed it, takes from no node what it serves with, nor from one that starts meanwhile (decision 0023).
 */
export class NodeCertificate {
  readonly #file: string;
  readonly #log: Log;
  readonly #judgeOffered = rememberedCertificateFacts();
  readonly #judgeKept = rememberedCertificateFacts();
  /** The last good one; undefined until the volume was looked at. */
  #kept: string | undefined;
  #told = "";

  constructor(file: string, log: Log) {
    this.#file = file;
    this.#log = log;
  }

  /** `nowMs` since 1970. */
  look(spec: CertificateSpec, { privateKey }: Identity, nowMs: number): NodeCertificateInUse {
    const offered = this.#judgeOffered(spec, privateKey, nowMs);
    if (isGood(offered)) {
      this.#keep(spec.certificateChain ?? "");
      return { facts: offered, chainPem: spec.certificateChain };
    }
    const { certificateChain: _offered, ...rest } = spec;
    const certificateChain = this.#lastGood();
    const kept = this.#judgeKept({ ...rest, certificateChain }, privateKey, nowMs);
    if (!isGood(kept)) return { facts: offered, chainPem: undefined };
    this.#tell(offered.message);
    const message = `${kept.message}; it is the one of before, because ${offered.message}`;
    return { facts: { ...kept, message, refused: offered.state }, chainPem: certificateChain };
  }

  #keep(chain: string): void {
    this.#told = "";
    if (chain === this.#lastGood()) return;
    this.#kept = chain;
    try {
      replaceFile(this.#file, chain, 0o644);
    } catch (error) {
      this.#log("warn", "the certificate is not kept for the next start", { problem: (error as Error).message });
    }
  }

  #lastGood(): string {
    this.#kept ??= read(this.#file);
    return this.#kept;
  }

  #tell(problem: string): void {
    if (this.#told !== problem) this.#log("warn", "the certificate of before goes on being used", { problem });
    this.#told = problem;
  }
}

function isGood({ state }: CertificateFacts): boolean {
  return state === "Valid" || state === "ExpiringSoon";
}

/** Empty where there is none, or none that can be read. */
function read(file: string): string {
  try {
    const chain = existsSync(file) ? readFileSync(file, "utf8") : "";
    return certificatesOf(chain).length === 0 ? "" : chain;
  } catch {
    return "";
  }
}
