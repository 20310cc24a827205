import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Keyring } from "../keys/types.ts";

/** A Keyring with one fresh master key, for tests of rooms above the keys. */
export function testKeyring(): Keyring {
  const master = randomBytes(32);
  const mac = (message: Buffer) => createHmac("sha256", master).update(message).digest();
  return {
    closed: false,
    seal: (plaintext, context) => {
      const iv = randomBytes(12);
      const cipher = createCipheriv("aes-256-gcm", master, iv).setAAD(context);
      return Buffer.concat([iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    },
    unseal: (blob, context) => {
      const decipher = createDecipheriv("aes-256-gcm", master, blob.subarray(0, 12)).setAAD(context);
      decipher.setAuthTag(blob.subarray(-16));
      return Buffer.concat([decipher.update(blob.subarray(12, -16)), decipher.final()]);
    },
    mac,
    verifies: (message, given) => timingSafeEqual(mac(message), given),
  };
}
