import { constants, type KeyObject, privateEncrypt, publicDecrypt } from "node:crypto";
import { Refusal } from "../objects/refusal.ts";
import { derNull, derObjectIdentifier, derOctets, derSequence } from "./der.ts";
import { ecdsaSignDigest, ecdsaVerifyDigest } from "./ecdsa.ts";
import { sameBytes } from "./hash.ts";
import { type Pss, pssEncode, pssHolds } from "./pss.ts";
import { modulusBytes, rsaPrivate, rsaPublic } from "./rsa.ts";
import type { HashScheme } from "./signature-scheme.ts";

/** Signs a digest: node:crypto signs data only, so the encodings are made here. Throws Refusal. */
export function signDigest(key: KeyObject, digest: Buffer, scheme: HashScheme): Buffer {
  switch (scheme.kind) {
    case "pkcs1":
      return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, digestInfo(scheme.hash, digest));
    case "pss": {
      const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
      return rsaPrivate(key, padded(pssEncode(digest, bits, scheme), Math.ceil(bits / 8)));
    }
    case "ecdsa":
      return ecdsaSignDigest(key, digest);
    case "dsa":
      throw new Refusal("FeatureNotSupported", "DSA signs Data, not Digested Data");
  }
}

/** Whether the signature is one of the digest. */
export function verifyDigest(
  key: KeyObject,
  digest: Buffer,
  { scheme, signature }: { readonly scheme: HashScheme; readonly signature: Buffer },
): boolean {
  switch (scheme.kind) {
    case "pkcs1":
      return pkcs1Holds(key, digestInfo(scheme.hash, digest), signature);
    case "pss":
      return pssSignatureHolds(key, digest, { scheme, signature });
    case "ecdsa":
      return ecdsaVerifyDigest(key, digest, signature);
    case "dsa":
      throw new Refusal("FeatureNotSupported", "DSA verifies Data, not Digested Data");
  }
}

/** OpenSSL takes a shorter number, too; a signature is as long as the modulus (RFC 8017, 8.2.2). */
function pkcs1Holds(key: KeyObject, info: Buffer, signature: Buffer): boolean {
  if (signature.length !== modulusBytes(key)) return false;
  try {
    return sameBytes(publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, signature), info);
  } catch {
    return false;
  }
}

function pssSignatureHolds(
  key: KeyObject,
  digest: Buffer,
  { scheme, signature }: { readonly scheme: Pss; readonly signature: Buffer },
): boolean {
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (signature.length !== modulusBytes(key)) return false;
  try {
    return pssHolds(rsaPublic(key, signature), digest, bits, scheme);
  } catch {
    return false;
  }
}

/** A number as long as the modulus. */
function padded(encoded: Buffer, size: number): Buffer {
  const result = Buffer.alloc(size);
  result.set(encoded, size - encoded.length);
  return result;
}

/** Object identifiers of hashes (RFC 8017, B.1; FIPS 202). */
export const hashOids: Readonly<Record<string, string>> = {
  md5: "1.2.840.113549.2.5",
  ripemd160: "1.3.36.3.2.1",
  sha1: "1.3.14.3.2.26",
  sha224: "2.16.840.1.101.3.4.2.4",
  sha256: "2.16.840.1.101.3.4.2.1",
  sha384: "2.16.840.1.101.3.4.2.2",
  sha512: "2.16.840.1.101.3.4.2.3",
  "sha512-224": "2.16.840.1.101.3.4.2.5",
  "sha512-256": "2.16.840.1.101.3.4.2.6",
  "sha3-224": "2.16.840.1.101.3.4.2.7",
  "sha3-256": "2.16.840.1.101.3.4.2.8",
  "sha3-384": "2.16.840.1.101.3.4.2.9",
  "sha3-512": "2.16.840.1.101.3.4.2.10",
};

/** DigestInfo (RFC 8017, 9.2). */
function digestInfo(hash: string, digest: Buffer): Buffer {
  const oid = hashOids[hash];
  if (oid === undefined) throw new Refusal("FeatureNotSupported", "PKCS1 v1.5 has no name for this hash");
  return derSequence(derSequence(derObjectIdentifier(oid), derNull), derOctets(digest));
}
