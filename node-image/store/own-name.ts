import type { Keyring } from "../keys/types.ts";
import { isProvedBy } from "./proved.ts";
import type { NodeStore } from "./types.ts";

/** Where is kept that the log's name was given to this node. */
const setting = "ownName";

/** What `OwnName` needs of the store. */
export interface OwnNameParts {
  readonly settings: Pick<NodeStore, "setting" | "setSetting">;
  /** Throws StoreError "noMasterKey" or "damaged". */
  readonly keyring: () => Keyring;
}

/**
 * That the name of a log was given to this node and to no other, under a MAC that is bound to the node. Who can write its
 * database would else have it sign in the name of another, whose log that forks.
 */
export class OwnName {
  readonly #parts: OwnNameParts;

  constructor(parts: OwnNameParts) {
    this.#parts = parts;
  }

  /** Whether that is kept here; not of a name that software before this one has given, nor where somebody took it away. */
  async isProved(identity: string, incarnation: string): Promise<boolean> {
    const { settings, keyring } = this.#parts;
    const mac = await settings.setting(setting);
    if (typeof mac !== "string") return false;
    return isProvedBy(keyring(), authenticated(identity, incarnation), mac);
  }

  async prove(identity: string, incarnation: string): Promise<void> {
    const { settings, keyring } = this.#parts;
    const mac = keyring().mac(authenticated(identity, incarnation));
    await settings.setSetting(setting, mac.toString("base64"));
  }
}

/** The bytes under the MAC; the first four tell them from all else that is authenticated. */
function authenticated(identity: string, incarnation: string): Buffer {
  return Buffer.from(`KFI1${incarnation}${identity}`);
}
