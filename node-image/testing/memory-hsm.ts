import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  randomBytes,
} from "node:crypto";
import { HsmError } from "../hsm/hsm-error.ts";
import type { Hsm, HsmStatus } from "../hsm/types.ts";

/** An Hsm for unit tests: real cryptography in this process, the sidecar's errors, and a plug to pull. */
export interface MemoryHsm extends Hsm {
  /** From now on everything is refused with HsmError "unavailable" and status gives this reason. */
  lose(reason?: HsmStatus["reason"]): void;
  /** Everything works again, with the same keys. */
  restore(): void;
}

/** A token of its own; tokens of different serials cannot open each other's blobs. */
export function memoryHsm(serial = "memory"): MemoryHsm {
  const wrappingKey = randomBytes(32);
  const keyCheckValue = createHash("sha256").update(wrappingKey).digest("hex").slice(0, 6);
  let joinPair: { publicKey: KeyObject; privateKey: KeyObject } | undefined;
  let lost: HsmStatus["reason"] | undefined;
  const present = () => {
    if (lost !== undefined) throw new HsmError("unavailable", `the HSM is not available (${lost})`);
  };
  return {
    async seal(plaintext, aad) {
      present();
      const iv = randomBytes(12);
      const cipher = createCipheriv("aes-256-gcm", wrappingKey, iv).setAAD(aad);
      return Buffer.concat([
        Buffer.from(keyCheckValue, "hex"),
        iv,
        cipher.update(plaintext),
        cipher.final(),
        cipher.getAuthTag(),
      ]);
    },
    async unseal(blob, aad) {
      present();
      const sealedBy = blob.toString("hex", 0, 3);
      if (sealedBy !== keyCheckValue)
        throw new HsmError("refused", `sealed by key ${sealedBy}; this token has key ${keyCheckValue}`);
      return opened(wrappingKey, blob.subarray(3), aad);
    },
    async random(length) {
      present();
      return randomBytes(length);
    },
    async status() {
      if (lost !== undefined) return { ready: false, reason: lost, message: `the HSM is not available (${lost})` };
      return { ready: true, reason: "Ready", message: "ready", tokenLabel: serial, tokenSerial: serial, keyCheckValue };
    },
    async makeJoinKey() {
      present();
      joinPair ??= generateKeyPairSync("rsa", { modulusLength: 3072 });
      return joinPair.publicKey.export({ type: "spki", format: "der" });
    },
    async unwrapJoin(wrapped) {
      present();
      return unwrapped(joinPair?.privateKey, wrapped);
    },
    lose(reason = "DeviceLost") {
      lost = reason;
    },
    restore() {
      lost = undefined;
    },
  };
}

function opened(key: Buffer, blob: Buffer, aad: Buffer): Buffer {
  try {
    const decipher = createDecipheriv("aes-256-gcm", key, blob.subarray(0, 12), { authTagLength: 16 });
    decipher.setAAD(aad).setAuthTag(blob.subarray(-16));
    return Buffer.concat([decipher.update(blob.subarray(12, -16)), decipher.final()]);
  } catch {
    throw new HsmError("tampered", "the blob or its context is not what this token sealed");
  }
}

function unwrapped(key: KeyObject | undefined, wrapped: Buffer): Buffer {
  if (key === undefined) throw new HsmError("refused", "there is no join key in the token; ask for makeJoinKey first");
  try {
    return privateDecrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha1" }, wrapped);
  } catch {
    throw new HsmError("tampered", "these bytes were not wrapped for this token's join key");
  }
}
