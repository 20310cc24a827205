import { constants, createHash, createPublicKey, type KeyObject, publicEncrypt, timingSafeEqual } from "node:crypto";
import type { Hsm } from "../hsm/types.ts";
import { KeyError } from "./key-error.ts";
import { sealedRow } from "./keyring.ts";
import { type MasterKey, masterKey, masterKeyBytes } from "./master-key.ts";
import { keyringOf, type MasterKeyRow, type MasterKeyring, maxVersions } from "./master-keyring.ts";

/*
 * A handover is: u8 format, u16 count, then per master key version u16 length and that many bytes of RSA-OAEP (SHA-1:
 * the one hash that every token offers; OAEP does not need it collision-free). Inside, per version:
 *   u8 format | u32 version | 32 bytes key | 8 bytes check value | 32 bytes SHA-256 of (cluster, joiner, version)
 * so that bytes made for another joiner, cluster or version are refused although the sponsor's link is trusted already.
 */
const format = 1;
const plaintextBytes = 1 + 4 + masterKeyBytes + 8 + 32;

/** Smallest join key that is accepted, in bits. */
const minJoinKeyBits = 3072;

/** Every master key version, for the private half of the joiner's key pair alone. Throws TypeError when the key is none of that kind. */
export function wrapForJoiner(
  keyring: MasterKeyring,
  joinPublicKeyPem: string,
  clusterId: string,
  joinerName: string,
): Buffer {
  const publicKey = joinKey(joinPublicKeyPem);
  const wrapped = keyring.versions().map((key) => wrapOne(key, publicKey, binding(clusterId, joinerName, key.version)));
  if (wrapped.length === 0) throw new KeyError("closed", "there is no master key in memory to hand over");
  const size = 3 + wrapped.reduce((total, part) => total + 2 + part.length, 0);
  const handover = Buffer.alloc(size);
  handover.writeUInt8(format, 0);
  let at = handover.writeUInt16BE(wrapped.length, 1);
  for (const part of wrapped) {
    at = handover.writeUInt16BE(part.length, at);
    handover.set(part, at);
    at += part.length;
  }
  return handover;
}

/** Opens a handover inside this node's token and seals it again under its own key: the rows are in the result's exportRows. */
export async function acceptHandover(
  hsm: Hsm,
  handover: Buffer,
  clusterId: string,
  joinerName: string,
): Promise<MasterKeyring> {
  const keys: MasterKey[] = [];
  const rows: MasterKeyRow[] = [];
  for (const part of partsOf(handover)) {
    const plaintext = await hsm.unwrapJoin(part);
    try {
      const { version, bytes, checkValue } = checked(plaintext, clusterId, joinerName);
      rows.push(await sealedRow(hsm, clusterId, { version, bytes }));
      const key = masterKey(version, bytes);
      if (!timingSafeEqual(key.checkValue, checkValue)) throw wrong("a master key that does not match its check value");
      keys.push(key);
    } finally {
      plaintext.fill(0);
    }
  }
  return keyringOf(keys, rows);
}

function joinKey(pem: string): KeyObject {
  const key = createPublicKey(pem);
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (key.asymmetricKeyType !== "rsa" || bits < minJoinKeyBits) {
    throw new TypeError(`a join key must be RSA of at least ${minJoinKeyBits} bits`);
  }
  return key;
}

function wrapOne(key: MasterKey, publicKey: KeyObject, bound: Buffer): Buffer {
  const plaintext = Buffer.alloc(plaintextBytes);
  const secret = key.secret.export();
  plaintext.writeUInt8(format, 0);
  plaintext.writeUInt32BE(key.version, 1);
  plaintext.set(secret, 5);
  plaintext.set(key.checkValue, 5 + masterKeyBytes);
  plaintext.set(bound, 5 + masterKeyBytes + 8);
  try {
    return publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha1" }, plaintext);
  } finally {
    secret.fill(0);
    plaintext.fill(0);
  }
}

function partsOf(handover: Buffer): Buffer[] {
  if (handover.length < 3 || handover.readUInt8(0) !== format) throw wrong("no handover that this version knows");
  const count = handover.readUInt16BE(1);
  if (count === 0 || count > maxVersions) throw wrong(`a handover of ${count} master key versions`);
  const parts: Buffer[] = [];
  let at = 3;
  while (parts.length < count) {
    const end = at + 2 + (at + 2 <= handover.length ? handover.readUInt16BE(at) : handover.length);
    if (end > handover.length) throw wrong("a handover that ends too early");
    parts.push(handover.subarray(at + 2, end));
    at = end;
  }
  if (at !== handover.length) throw wrong("a handover with bytes after its end");
  return parts;
}

/** Views into the plaintext; the caller zeroes the whole. */
function checked(
  plaintext: Buffer,
  clusterId: string,
  joinerName: string,
): { version: number; bytes: Buffer; checkValue: Buffer } {
  if (plaintext.length !== plaintextBytes || plaintext.readUInt8(0) !== format)
    throw wrong("a wrapped master key of unknown form");
  const version = plaintext.readUInt32BE(1);
  const bound = plaintext.subarray(5 + masterKeyBytes + 8);
  if (!timingSafeEqual(bound, binding(clusterId, joinerName, version)))
    throw wrong("a master key that was wrapped for another cluster or joiner");
  return {
    version,
    bytes: plaintext.subarray(5, 5 + masterKeyBytes),
    checkValue: plaintext.subarray(5 + masterKeyBytes, 5 + masterKeyBytes + 8),
  };
}

function binding(clusterId: string, joinerName: string, version: number): Buffer {
  return createHash("sha256")
    .update(JSON.stringify(["keyfleet handover", clusterId, joinerName, version]))
    .digest();
}

function wrong(message: string): KeyError {
  return new KeyError("tampered", `the sponsor sent ${message}`);
}
