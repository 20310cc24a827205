import type { Keyring } from "../keys/types.ts";

/** Whether a member of the fleet has made the MAC (base64) of these bytes, which is kept in this database. Throws KeyError "closed". */
export function isProvedBy(keyring: Keyring, message: Buffer, mac: string): boolean {
  try {
    return keyring.verifies(message, Buffer.from(mac, "base64"));
  } catch (error) {
    if ((error as { code?: unknown }).code === "closed") throw error;
    return false; // A MAC of a wrong length or under a key version that is not here.
  }
}
