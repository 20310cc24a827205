import type { KeyObject } from "node:crypto";
import {
  cryptographicAlgorithm as algorithm,
  digitalSignatureAlgorithm as combined,
  hashingAlgorithm,
  paddingMethod,
} from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { algorithmOfType, curveAlgorithms } from "./algorithms.ts";
import { curveNamed } from "./curves.ts";
import { hashName } from "./hash.ts";
import type { CryptographicParameters } from "./parameters.ts";
import { maskHash } from "./rsa.ts";

/** Schemes that sign a digest. Hashes by OpenSSL's names. */
export type HashScheme =
  | { readonly kind: "pkcs1"; readonly hash: string }
  | { readonly kind: "pss"; readonly hash: string; readonly maskHash: string; readonly saltBytes: number | undefined }
  | { readonly kind: "dsa" | "ecdsa"; readonly hash: string };

/** How a signature is made; "whole" are algorithms that take the message whole and hash it themselves: EdDSA, ML-DSA, SLH-DSA. */
export type SignatureScheme = HashScheme | { readonly kind: "whole" };

const { pkcs1, pss } = paddingMethod;
const { sha1, sha224, sha256, sha384, sha512 } = hashingAlgorithm;

interface DigitalRow {
  readonly hash?: number;
  readonly padding?: number;
  readonly key: string;
}

/** Hash and padding of each Digital Signature Algorithm (KMIP 1.4, 9.1.3.2.7). */
const digital: Readonly<Record<number, DigitalRow>> = {
  [combined.md5WithRsa]: { hash: 3, padding: pkcs1, key: "rsa" },
  [combined.sha1WithRsa]: { hash: sha1, padding: pkcs1, key: "rsa" },
  [combined.sha224WithRsa]: { hash: sha224, padding: pkcs1, key: "rsa" },
  [combined.sha256WithRsa]: { hash: sha256, padding: pkcs1, key: "rsa" },
  [combined.sha384WithRsa]: { hash: sha384, padding: pkcs1, key: "rsa" },
  [combined.sha512WithRsa]: { hash: sha512, padding: pkcs1, key: "rsa" },
  [combined.sha3_256WithRsa]: { hash: 15, padding: pkcs1, key: "rsa" },
  [combined.sha3_384WithRsa]: { hash: 16, padding: pkcs1, key: "rsa" },
  [combined.sha3_512WithRsa]: { hash: 17, padding: pkcs1, key: "rsa" },
  [combined.rsassaPss]: { padding: pss, key: "rsa" },
  [combined.dsaWithSha1]: { hash: sha1, key: "dsa" },
  [combined.dsaWithSha224]: { hash: sha224, key: "dsa" },
  [combined.dsaWithSha256]: { hash: sha256, key: "dsa" },
  [combined.ecdsaWithSha1]: { hash: sha1, key: "ec" },
  [combined.ecdsaWithSha224]: { hash: sha224, key: "ec" },
  [combined.ecdsaWithSha256]: { hash: sha256, key: "ec" },
  [combined.ecdsaWithSha384]: { hash: sha384, key: "ec" },
  [combined.ecdsaWithSha512]: { hash: sha512, key: "ec" },
};

/** Key types of node:crypto that sign whole messages. */
const whole = /^(ed25519|ed448|ml-dsa-|slh-dsa-)/;

/** Chooses the scheme. Throws Refusal. */
export function signatureScheme(key: KeyObject, parameters: CryptographicParameters): SignatureScheme {
  const type = key.asymmetricKeyType ?? "";
  if (whole.test(type)) return wholeScheme(parameters);
  const row = rowOf(type, parameters);
  const hash = row?.hash ?? parameters.hashingAlgorithm ?? hashOfCurve(key, parameters);
  if (hash === undefined) throw bad("Hashing Algorithm is missing: give Cryptographic Parameters here or with the key");
  return schemeOf(type, hash, row?.padding ?? parameters.paddingMethod, parameters);
}

/**
 * Throws Refusal if the parameters name another algorithm than the key's; keys on curves go by several names. Asked for signing only:
 * OASIS's case CS-AC-M-3-ECC-13 verifies with a key on a curve by the name of RSA.
 */
export function checkAlgorithm(
  { asymmetricKeyType }: KeyObject,
  { cryptographicAlgorithm: named }: CryptographicParameters,
): void {
  if (named === undefined) return;
  if ((curveAlgorithms.includes(named) ? algorithm.ecdsa : named) !== algorithmOfType(asymmetricKeyType))
    throw bad("Cryptographic Algorithm of the parameters does not fit the key");
}

/** With a hash before it each of these is another algorithm (Ed25519ph, HashML-DSA), which is not made here. */
function wholeScheme({ hashingAlgorithm: hash, digitalSignatureAlgorithm }: CryptographicParameters): SignatureScheme {
  if (hash === undefined && digitalSignatureAlgorithm === undefined) return { kind: "whole" };
  throw bad("Keys of this algorithm sign the data themselves: leave Hashing and Digital Signature Algorithm out");
}

/** What the Digital Signature Algorithm says; Hashing Algorithm and Padding Method beside it may not say anything else. */
function rowOf(type: string, parameters: CryptographicParameters): DigitalRow | undefined {
  const { digitalSignatureAlgorithm: named, hashingAlgorithm: hash, paddingMethod: padding } = parameters;
  if (named === undefined) return undefined;
  const row = digital[named];
  if (row === undefined) {
    const text = "This Digital Signature Algorithm is not offered";
    throw new Refusal("FeatureNotSupported", text, "UnsupportedCryptographicParameters");
  }
  const fits = row.key === type || (row.padding === pss && type === "rsa-pss");
  if (!fits) throw bad("The Digital Signature Algorithm does not fit the key");
  const same = (one: number | undefined, other: number | undefined) =>
    one === undefined || other === undefined || one === other;
  if (same(row.hash, hash) && same(row.padding, padding)) return row;
  throw bad(
    "Digital Signature Algorithm says something else than Hashing Algorithm or Padding Method: leave those out",
  );
}

function bad(text: string): Refusal {
  return new Refusal("InvalidField", text, "BadCryptographicParameters");
}

/** Parameters that name ECDSA and no hash mean the one of the curve's strength (FIPS 186-5, 6.1.1; OASIS case CS-AC-M-3-ECC-13). */
function hashOfCurve(key: KeyObject, parameters: CryptographicParameters): number | undefined {
  const bits = curveNamed(key.asymmetricKeyDetails?.namedCurve)?.bits;
  if (parameters.cryptographicAlgorithm !== algorithm.ecdsa || bits === undefined) return undefined;
  if (bits <= 256) return sha256;
  return bits <= 384 ? sha384 : sha512;
}

function schemeOf(
  type: string,
  hash: number,
  padding: number | undefined,
  parameters: CryptographicParameters,
): SignatureScheme {
  const name = hashName(hash);
  if (type === "ec") return { kind: "ecdsa", hash: name };
  if (type === "dsa") return { kind: "dsa", hash: name };
  if (type !== "rsa" && type !== "rsa-pss") throw new Refusal("PermissionDenied", "Keys of this algorithm do not sign");
  if (padding === pkcs1) return { kind: "pkcs1", hash: name };
  if (padding !== pss) throw bad("Padding Method is missing: RSA signs with PSS or PKCS1 v1.5");
  const { saltLength = 0, trailerField = 1 } = parameters;
  // OpenSSL takes negative lengths for words: as long as the digest, as the key lets it be, as the signature has it.
  if (saltLength < 0) throw bad("Salt Length is a number of bytes: leave it out for one as long as the digest");
  if (trailerField !== 1 && trailerField !== 0xbc) throw bad("The only Trailer Field of PSS is 1, the byte 0xBC");
  return { kind: "pss", hash: name, maskHash: maskHash(parameters, hash), saltBytes: parameters.saltLength };
}
