import { constants, type KeyObject, privateDecrypt, publicEncrypt } from "node:crypto";
import { hashingAlgorithm, paddingMethod } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { decrypting, notDecrypted } from "./cipher-failure.ts";
import { digestBytes, hashName } from "./hash.ts";
import { type Oaep, oaepDecode, oaepEncode } from "./oaep.ts";
import type { CryptographicParameters } from "./parameters.ts";

/** Encrypts by the padding that the parameters name. Throws Refusal. */
export function rsaEncrypt(key: KeyObject, data: Buffer, parameters: CryptographicParameters): Buffer {
  const most = largest(key, parameters);
  if (data.length > most) throw new Refusal("InvalidField", `This key and padding encrypt at most ${most} bytes`);
  switch (parameters.paddingMethod) {
    case paddingMethod.pkcs1:
      return publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, data);
    case paddingMethod.oaep:
      return oaepEncrypt(key, data, oaep(parameters));
    case paddingMethod.none:
      return rsaPublic(key, data);
    default:
      throw unknownPadding();
  }
}

/** The reverse; the caller zeroes the result. PKCS#1 v1.5 that is wrong decrypts to random bytes (implicit rejection). */
export function rsaDecrypt(key: KeyObject, data: Buffer, parameters: CryptographicParameters): Buffer {
  const { paddingMethod: method } = parameters;
  if (method !== paddingMethod.pkcs1 && method !== paddingMethod.oaep && method !== paddingMethod.none) {
    throw unknownPadding();
  }
  const scheme = method === paddingMethod.oaep ? oaep(parameters) : undefined;
  return decrypting(() => {
    if (data.length !== modulusBytes(key)) throw notDecrypted();
    if (method === paddingMethod.pkcs1) return privateDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, data);
    return scheme === undefined ? rsaPrivate(key, data) : oaepDecrypt(key, data, scheme);
  });
}

/** OpenSSL does it where the mask has the hash of the scheme; the other case is made here. */
function oaepEncrypt(key: KeyObject, data: Buffer, scheme: Oaep): Buffer {
  if (scheme.hash === scheme.maskHash) return publicEncrypt(native(key, scheme), data);
  const encoded = oaepEncode(data, scheme, modulusBytes(key));
  try {
    return rsaPublic(key, encoded);
  } finally {
    encoded.fill(0);
  }
}

function oaepDecrypt(key: KeyObject, data: Buffer, scheme: Oaep): Buffer {
  if (scheme.hash === scheme.maskHash) return privateDecrypt(native(key, scheme), data);
  const raw = rsaPrivate(key, data);
  try {
    return oaepDecode(raw, scheme);
  } finally {
    raw.fill(0);
  }
}

function native(key: KeyObject, { hash, label }: Oaep) {
  return { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hash, oaepLabel: label };
}

/** m^e mod n of a number as long as the modulus. */
export function rsaPublic(key: KeyObject, data: Buffer): Buffer {
  if (data.length !== modulusBytes(key)) {
    throw new Refusal("InvalidField", `Without padding exactly ${modulusBytes(key)} bytes are taken`);
  }
  try {
    return publicEncrypt({ key, padding: constants.RSA_NO_PADDING }, data);
  } catch {
    throw new Refusal("InvalidField", "The number is not smaller than the modulus");
  }
}

/** c^d mod n, blinded by OpenSSL. */
export function rsaPrivate(key: KeyObject, data: Buffer): Buffer {
  return privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, data);
}

/** Length of the modulus in bytes. */
export function modulusBytes(key: KeyObject): number {
  return Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8);
}

function largest(key: KeyObject, parameters: CryptographicParameters): number {
  const size = modulusBytes(key);
  if (parameters.paddingMethod === paddingMethod.pkcs1) return size - 11;
  return parameters.paddingMethod === paddingMethod.oaep ? size - 2 * oaep(parameters).hashBytes - 2 : size;
}

/**
 * OAEP's hash is SHA-1 if none is named. The mask's is the same if none is named, as OpenSSL, Go and Java's successors do and as
 * the OASIS test case CS-AC-M-2 has it for PSS, although 3.6 speaks of SHA-1.
 */
function oaep(parameters: CryptographicParameters): Oaep {
  const hash = parameters.hashingAlgorithm ?? hashingAlgorithm.sha1;
  const name = hashName(hash);
  return {
    hash: name,
    hashBytes: digestBytes(name),
    maskHash: maskHash(parameters, hash),
    label: Buffer.from(parameters.pSource ?? "", "hex"),
  };
}

/** OpenSSL's name of the mask's hash, by default that of the scheme. Throws Refusal. */
export function maskHash(parameters: CryptographicParameters, hash: number): string {
  const { maskGenerator, maskGeneratorHashingAlgorithm } = parameters;
  if (maskGenerator !== undefined && maskGenerator !== 1) {
    throw new Refusal("FeatureNotSupported", "The only Mask Generator is MGF1", "UnsupportedCryptographicParameters");
  }
  return hashName(maskGeneratorHashingAlgorithm ?? hash);
}

function unknownPadding(): Refusal {
  const text = "Padding Method is missing or not one of RSA: use OAEP";
  return new Refusal("InvalidField", text, "BadCryptographicParameters");
}
