import type { Keyring } from "../keys/types.ts";

/**
 * What one member shows another beside its certificate, which may have been stolen: only who has the master key can make it.
 * Each pair has another, so whoever is shown it can do nothing with it elsewhere. Base64, less than the 63 bytes that
 * PostgreSQL takes. Undefined while there is no master key: `keyring` throws then, or is closed.
 */
export function passOf(keyring: () => Keyring, from: string, to: string): string | undefined {
  try {
    return keyring().mac(authenticated(from, to)).toString("base64");
  } catch {
    return undefined;
  }
}

/** The bytes under the MAC; the first four tell them from all else that is authenticated. */
function authenticated(from: string, to: string): Buffer {
  return Buffer.from(`KFM1${JSON.stringify([from, to])}`);
}
