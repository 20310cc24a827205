import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomFillSync,
  timingSafeEqual,
} from "node:crypto";
import { KeyError } from "./key-error.ts";

export const masterKeyBytes = 32;

/** Bytes of a MAC: u32 version, then HMAC-SHA-256. */
export const macBytes = 36;

const blobFormat = 1;
const headerBytes = 1 + 4 + 12;
const tagBytes = 16;

/** One version of the master key: what is derived from it seals and authenticates, the key itself is only handed over. */
export interface MasterKey {
  readonly version: number;
  readonly secret: KeyObject;
  /** Tells equal keys from different ones and nothing else about them: 8 bytes. */
  readonly checkValue: Buffer;
  readonly sealing: KeyObject;
  readonly authenticating: KeyObject;
}

/** Takes the 32 bytes of a master key into KeyObjects and zeroes them. */
export function masterKey(version: number, bytes: Buffer): MasterKey {
  try {
    const secret = createSecretKey(bytes);
    return {
      version,
      secret,
      checkValue: derived(secret, "keyfleet check value").subarray(0, 8),
      sealing: derivedKey(secret, "keyfleet object sealing"),
      authenticating: derivedKey(secret, "keyfleet operation authentication"),
    };
  } finally {
    bytes.fill(0);
  }
}

/** AES-256-GCM; the blob tells its own format and version, and both are bound together with the context. */
export function sealWith(key: MasterKey, plaintext: Buffer, context: Buffer): Buffer {
  const blob = Buffer.alloc(headerBytes + plaintext.length + tagBytes);
  blob.writeUInt8(blobFormat, 0);
  blob.writeUInt32BE(key.version, 1);
  randomFillSync(blob, 5, 12);
  const cipher = createCipheriv("aes-256-gcm", key.sealing, blob.subarray(5, headerBytes));
  cipher.setAAD(boundData(blob.subarray(0, headerBytes), context));
  blob.set(cipher.update(plaintext), headerBytes);
  cipher.final();
  blob.set(cipher.getAuthTag(), headerBytes + plaintext.length);
  return blob;
}

/** Undoes sealWith; throws KeyError "tampered" when blob or context is not what was sealed. */
export function unsealWith(key: MasterKey, blob: Buffer, context: Buffer): Buffer {
  const end = blob.length - tagBytes;
  const decipher = createDecipheriv("aes-256-gcm", key.sealing, blob.subarray(5, headerBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(boundData(blob.subarray(0, headerBytes), context));
  decipher.setAuthTag(blob.subarray(end));
  const plaintext = decipher.update(blob.subarray(headerBytes, end));
  try {
    decipher.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    throw tampered("a sealed object does not match its context or was changed");
  }
}

/** The master key version that a blob was sealed under; throws KeyError "tampered" when it is no blob of ours. */
export function versionOfBlob(blob: Buffer): number {
  if (blob.length < headerBytes + tagBytes || blob.readUInt8(0) !== blobFormat)
    throw tampered("these bytes are no sealed object");
  return blob.readUInt32BE(1);
}

/** HMAC-SHA-256 of the message, prefixed with the version of the key. */
export function macWith(key: MasterKey, message: Buffer): Buffer {
  const mac = Buffer.alloc(macBytes);
  mac.writeUInt32BE(key.version, 0);
  mac.set(createHmac("sha256", key.authenticating).update(message).digest(), 4);
  return mac;
}

/** Whether the MAC is the message's, in constant time. */
export function macMatches(key: MasterKey, message: Buffer, mac: Buffer): boolean {
  return mac.length === macBytes && timingSafeEqual(macWith(key, message), mac);
}

function boundData(header: Buffer, context: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(header.length + context.length);
  bytes.set(header, 0);
  bytes.set(context, header.length);
  return bytes;
}

function tampered(message: string): KeyError {
  return new KeyError("tampered", message);
}

function derivedKey(secret: KeyObject, purpose: string): KeyObject {
  const bytes = derived(secret, purpose);
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

function derived(secret: KeyObject, purpose: string): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, Buffer.alloc(0), purpose, masterKeyBytes));
}
