import { createCipheriv, createHmac, type KeyObject } from "node:crypto";
import { cryptographicAlgorithm as algorithm, blockCipherMode as mode } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { aesCmac, tripleDesCmac } from "./cmac.ts";
import { type DigestStream, hashName } from "./hash.ts";
import type { CryptographicParameters } from "./parameters.ts";

/** What a message authentication code is made with. */
export interface MacRequest {
  /** KMIP Cryptographic Algorithm of the key. */
  readonly algorithm: number;
  readonly key: KeyObject;
  readonly parameters: CryptographicParameters;
  /** Nonce, for GMAC. */
  readonly iv?: Buffer;
}

/** OpenSSL's hash by the KMIP algorithm of an HMAC. */
const hmacHashes: Readonly<Record<number, string>> = {
  [algorithm.hmacSha1]: "sha1",
  [algorithm.hmacSha224]: "sha224",
  [algorithm.hmacSha256]: "sha256",
  [algorithm.hmacSha384]: "sha384",
  [algorithm.hmacSha512]: "sha512",
  [algorithm.hmacMd5]: "md5",
  [algorithm.hmacSha3_224]: "sha3-224",
  [algorithm.hmacSha3_256]: "sha3-256",
  [algorithm.hmacSha3_384]: "sha3-384",
  [algorithm.hmacSha3_512]: "sha3-512",
};

/**
 * A code in parts. The parameters' algorithm goes before the key's: an AES key may be used for HMAC. With a block cipher the
 * code is CMAC, or GMAC if the mode is GCM. Throws Refusal.
 */
export function startMac({ algorithm: ofKey, key, parameters, iv }: MacRequest): DigestStream {
  const kind = parameters.cryptographicAlgorithm ?? ofKey;
  const hash = hmacHash(kind, parameters) ?? hashOf(kind, parameters);
  if (hash !== undefined) return hmac(hash, key);
  // Of a block cipher's code there is no hash, and no key but the cipher's own.
  if (parameters.hashingAlgorithm !== undefined || (ofKey !== 0 && ofKey !== kind)) throw unknown();
  return blockCode(kind, { key, mode: parameters.blockCipherMode, iv });
}

function blockCode(
  kind: number,
  {
    key,
    mode: named,
    iv,
  }: { readonly key: KeyObject; readonly mode: number | undefined; readonly iv: Buffer | undefined },
): DigestStream {
  if (kind === algorithm.aes && named === mode.gcm) return gmac(key, iv);
  if (named !== undefined && named !== mode.cmac) throw unknown();
  if (kind === algorithm.aes && [16, 24, 32].includes(key.symmetricKeySize ?? 0)) return aesCmac(key);
  if (kind === algorithm.tripleDes && [16, 24].includes(key.symmetricKeySize ?? 0)) return tripleDesCmac(key);
  throw unknown();
}

/** OpenSSL's hash of an HMAC; undefined if the algorithm is none. Throws Refusal if the parameters name another hash. */
export function hmacHash(kind: number, { hashingAlgorithm }: CryptographicParameters): string | undefined {
  const hash = hmacHashes[kind];
  if (hash === undefined || hashingAlgorithm === undefined || hashName(hashingAlgorithm) === hash) return hash;
  throw new Refusal(
    "InvalidField",
    "Hashing Algorithm is not the one of the HMAC: leave it out",
    "BadCryptographicParameters",
  );
}

/** A key without an algorithm of its own (Secret Data) with a Hashing Algorithm is an HMAC. */
function hashOf(kind: number, { hashingAlgorithm, blockCipherMode }: CryptographicParameters): string | undefined {
  const cipher = kind === algorithm.aes || kind === algorithm.tripleDes || blockCipherMode !== undefined;
  return cipher || hashingAlgorithm === undefined ? undefined : hashName(hashingAlgorithm);
}

function hmac(hash: string, key: KeyObject): DigestStream {
  const code = createHmac(hash, key);
  return { update: (data) => void code.update(data), final: () => code.digest() };
}

/** GCM over no plaintext at all (SP 800-38D, 3). */
function gmac(key: KeyObject, iv: Buffer | undefined): DigestStream {
  if (iv === undefined || iv.length === 0)
    throw new Refusal("InvalidMessage", "GMAC needs an IV/Counter/Nonce", "MissingInitializationVector");
  const cipher = createCipheriv(`aes-${(key.symmetricKeySize ?? 0) * 8}-gcm` as "aes-256-gcm", key, iv);
  return {
    update: (data) => void cipher.setAAD(data),
    final: () => {
      cipher.final();
      return cipher.getAuthTag();
    },
  };
}

function unknown(): Refusal {
  return new Refusal(
    "InvalidField",
    "This key makes no such code: give an HMAC algorithm, or CMAC with an AES key, in Cryptographic Parameters",
    "BadCryptographicParameters",
  );
}
