import { createPublicKey } from "node:crypto";
import type { Log } from "../config/source.ts";
import type { Hsm, HsmStatus } from "../hsm/types.ts";

/** Watches this node's HSM and keeps the public half of the key that receives the master key. */
export class RootOfTrust {
  readonly #hsm: Hsm;
  readonly #log: Log;
  #status: HsmStatus = { ready: false, reason: "Starting", message: "asking the HSM sidecar" };
  #joinPublicKey: string | undefined;
  /** Of which token and key that is. */
  #joinKeyOf = "";
  /** Why the token made none; asked again at each look, told once. */
  #joinProblem: string | undefined;
  #asking = false;

  constructor(hsm: Hsm, log: Log) {
    this.#hsm = hsm;
    this.#log = log;
  }

  get status(): HsmStatus {
    return this.#status;
  }

  /** PEM (SPKI), once the token has made it. */
  get joinPublicKey(): string | undefined {
    return this.#joinPublicKey;
  }

  /** Asks once; resolves true when something changed. A question that hangs is not asked twice. */
  async look(): Promise<boolean> {
    if (this.#asking) return false;
    this.#asking = true;
    try {
      const next = await this.#hsm.status();
      const changed = next.ready !== this.#status.ready || next.message !== this.#status.message;
      if (changed)
        this.#log(next.ready ? "info" : "warn", "root of trust", {
          ready: next.ready,
          reason: next.reason,
          detail: next.message,
        });
      this.#status = next;
      return (await this.#makeJoinKey()) || changed;
    } finally {
      this.#asking = false;
    }
  }

  /** Once for each token: on a machine the sidecar alone is started again when the settings name another one. */
  async #makeJoinKey(): Promise<boolean> {
    const { ready, tokenSerial, keyCheckValue } = this.#status;
    const token = `${tokenSerial}/${keyCheckValue}`;
    if (!ready || token === this.#joinKeyOf) return false;
    try {
      const key = createPublicKey({ key: await this.#hsm.makeJoinKey(), format: "der", type: "spki" });
      this.#joinPublicKey = key.export({ type: "spki", format: "pem" }) as string;
      this.#joinKeyOf = token;
      this.#joinProblem = undefined;
      return true;
    } catch (error) {
      const problem = (error as Error).message;
      if (problem !== this.#joinProblem) this.#log("warn", "the HSM made no join key", { problem });
      this.#joinProblem = problem;
      return false;
    }
  }
}
