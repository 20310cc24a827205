import { crc32 } from "node:zlib";
import type { Keyring } from "../keys/types.ts";

/** Nothing is secret in a simulation; a checksum shows what would be shown by a real MAC. */
export function checksum(message: Buffer): Buffer {
  const mac = Buffer.alloc(4);
  mac.writeUInt32BE(crc32(message));
  return mac;
}

/** The part of a keyring that replication needs. */
export const keyring = {
  mac: checksum,
  verifies: (message: Buffer, mac: Buffer) => checksum(message).equals(mac),
} as Pick<Keyring, "mac" | "verifies"> as Keyring;
