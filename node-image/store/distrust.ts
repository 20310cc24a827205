import type { Keyring } from "../keys/types.ts";
import type { Json } from "../objects/types.ts";
import type { NodeStore } from "./types.ts";

/** Where is kept that an audit did not find the database whole. */
const setting = "notWhole";
const changed =
  "an audit before the last start did not find the database whole; what it told of that was changed since";
const unread = "an audit before the last start did not find the database whole";

/** What `Distrust` needs of the store. */
export interface DistrustParts {
  readonly settings: Pick<NodeStore, "setting" | "setSetting">;
  /** From now on nothing is served or written, */
  readonly distrust: (why: string) => void;
  /** until this is called. */
  readonly rehabilitate: () => Promise<void>;
}

/**
 * That an audit did not find the database whole outlives the process: a row that was set back has a valid MAC, and the next
 * process would serve it until its own first audit. Whatever is found kept, also what nobody here has written, distrusts.
 */
export class Distrust {
  readonly #parts: DistrustParts;
  #isKept = false;

  constructor(parts: DistrustParts) {
    this.#parts = parts;
  }

  /** At the start, before anything is served. Without the master key nobody can tell who has written the reason: it is not told. */
  async recall(keyring: Keyring | undefined): Promise<void> {
    const saved = await this.#parts.settings.setting(setting);
    if (saved === undefined || saved === null) return;
    this.#isKept = true;
    this.#parts.distrust(keyring === undefined ? unread : (reasonIn(saved, keyring) ?? changed));
  }

  /** An audit did not find the database whole. Rejects with StoreError when the next process will not know. */
  async found(why: string, keyring: Keyring): Promise<void> {
    this.#parts.distrust(why);
    await this.#parts.settings.setSetting(setting, { why, mac: keyring.mac(authenticated(why)).toString("base64") });
    this.#isKept = true;
  }

  /** An audit has found it whole. While this cannot be written down the store stays distrusted. */
  async over(): Promise<void> {
    if (this.#isKept) await this.#parts.settings.setSetting(setting, null);
    this.#isKept = false;
    await this.#parts.rehabilitate();
  }
}

function reasonIn(saved: Json, keyring: Keyring): string | undefined {
  const { why, mac } = saved as { readonly why?: Json; readonly mac?: Json };
  if (typeof why !== "string" || typeof mac !== "string") return undefined;
  try {
    return keyring.verifies(authenticated(why), Buffer.from(mac, "base64")) ? why : undefined;
  } catch {
    return undefined; // A MAC of a wrong length or under a key version that is not here.
  }
}

/** The bytes under the MAC; the first four tell them from an operation, a row and the end of a log. */
function authenticated(why: string): Buffer {
  return Buffer.from(`KFN1${why}`);
}
