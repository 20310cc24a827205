import { crc32 } from "node:zlib";
import type { Keyring } from "../keys/types.ts";

const macBytes = 4;

/** Nothing is secret in a simulation; a checksum shows what would be shown by a real MAC. */
export function checksum(message: Buffer): Buffer {
  const mac = Buffer.allocUnsafe(macBytes);
  mac.writeUInt32BE(crc32(message));
  return mac;
}

/** The part of a keyring that replication needs. */
export const keyring = {
  mac: checksum,
  verifies: (message: Buffer, mac: Buffer) => mac.length === macBytes && mac.readUInt32BE() === crc32(message),
} as Pick<Keyring, "mac" | "verifies"> as Keyring;
