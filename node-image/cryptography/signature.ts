import { constants, createHash, createSign, createVerify, type KeyObject, sign, verify } from "node:crypto";
import { promisify } from "node:util";
import { Refusal } from "../objects/refusal.ts";
import { type Gathering, gather } from "./gather.ts";
import { digestBytes } from "./hash.ts";
import type { CryptographicParameters } from "./parameters.ts";
import { checkAlgorithm, type HashScheme, type SignatureScheme, signatureScheme } from "./signature-scheme.ts";
import { signDigest, verifyDigest } from "./signed-digest.ts";

/** A verification in parts. */
export interface VerifyStream extends Gathering {
  update(data: Buffer): void;
  /** Whether the signature is one of all the data. */
  final(signature: Buffer): boolean;
}

/** A signature in parts. */
export interface SignStream extends Gathering {
  update(data: Buffer): void;
  /** In a thread of the pool where the algorithm is slow. */
  final(): Buffer | Promise<Buffer>;
}

/** Whether a signature by the key takes so long (up to a second) that it is made in a thread of the pool: SLH-DSA. */
export function isSlow(key: KeyObject): boolean {
  return key.asymmetricKeyType?.startsWith("slh-dsa-") === true;
}

/** A signature of a whole message by an algorithm that hashes by itself. */
export function signWhole(key: KeyObject, data: Buffer): Buffer | Promise<Buffer> {
  return isSlow(key) ? inThread(null, data, key) : sign(null, data, key);
}

/** crypto.sign by callback, as a promise. */
const inThread: (hash: string | null, data: Buffer, key: KeyObject) => Promise<Buffer> = promisify(sign);

/** Begins a signature; DSA and ECDSA give DER (X9.62). Throws Refusal. */
export function startSign(key: KeyObject, parameters: CryptographicParameters): SignStream {
  const scheme = signingScheme(key, parameters);
  if (scheme.kind === "whole") {
    const parts = gather();
    return {
      gathered: parts,
      update: (data) => parts.add(data),
      final: async () => {
        const data = parts.take();
        try {
          return await signWhole(key, data);
        } finally {
          data.fill(0);
        }
      },
    };
  }
  if (!isNative(scheme)) {
    const hash = createHash(scheme.hash);
    return {
      update: (data) => void hash.update(data),
      final: () => possible(() => signDigest(key, hash.digest(), scheme)),
    };
  }
  const signing = createSign(scheme.hash);
  return {
    update: (data) => void signing.update(data),
    final: () => possible(() => signing.sign(withPadding(key, scheme))),
  };
}

/** The signature of data that are there: node:crypto does this in nearly half the time of a stream. Throws Refusal. */
export function signData(key: KeyObject, data: Buffer, parameters: CryptographicParameters): Buffer | Promise<Buffer> {
  const scheme = signingScheme(key, parameters);
  if (scheme.kind === "whole") return signWhole(key, data);
  if (!isNative(scheme)) return possible(() => signDigest(key, createHash(scheme.hash).update(data).digest(), scheme));
  return possible(() => sign(scheme.hash, data, withPadding(key, scheme)));
}

/** Whether the signature is one of data that are there. Throws Refusal. */
export function verifyData(
  key: KeyObject,
  signed: { readonly data: Buffer; readonly signature: Buffer },
  parameters: CryptographicParameters,
): boolean {
  const { data, signature } = signed;
  const scheme = signatureScheme(key, parameters);
  if (scheme.kind === "whole") return verify(null, data, key, signature);
  if (!isNative(scheme)) {
    return verifyDigest(key, createHash(scheme.hash).update(data).digest(), { scheme, signature });
  }
  return possible(() => verify(scheme.hash, data, withPadding(key, scheme, constants.RSA_PSS_SALTLEN_AUTO), signature));
}

/** Begins a verification. Throws Refusal. */
export function startVerify(key: KeyObject, parameters: CryptographicParameters): VerifyStream {
  const scheme = signatureScheme(key, parameters);
  if (scheme.kind === "whole") {
    const parts = gather();
    return {
      gathered: parts,
      update: (data) => parts.add(data),
      final: (signature) => {
        const data = parts.take();
        try {
          return verify(null, data, key, signature);
        } finally {
          data.fill(0);
        }
      },
    };
  }
  if (!isNative(scheme)) {
    const hash = createHash(scheme.hash);
    return {
      update: (data) => void hash.update(data),
      final: (signature) => verifyDigest(key, hash.digest(), { scheme, signature }),
    };
  }
  const verifying = createVerify(scheme.hash);
  return {
    update: (data) => void verifying.update(data),
    final: (signature) => verifying.verify(withPadding(key, scheme, constants.RSA_PSS_SALTLEN_AUTO), signature),
  };
}

/** Signs a digest that the client made (Digested Data). Throws Refusal. */
export function signDigested(key: KeyObject, digest: Buffer, parameters: CryptographicParameters): Buffer {
  const scheme = digestScheme(signingScheme(key, parameters), digest);
  return possible(() => signDigest(key, digest, scheme));
}

/** Verifies a signature by the digest of the data. Throws Refusal. */
export function verifyDigested(
  key: KeyObject,
  signed: { readonly digest: Buffer; readonly signature: Buffer },
  parameters: CryptographicParameters,
): boolean {
  const scheme = digestScheme(signatureScheme(key, parameters), signed.digest);
  return verifyDigest(key, signed.digest, { scheme, signature: signed.signature });
}

/** What is signed with MD5 is as good as signed for other data, which anybody makes within a minute. Throws Refusal. */
function signingScheme(key: KeyObject, parameters: CryptographicParameters): SignatureScheme {
  checkAlgorithm(key, parameters);
  const scheme = signatureScheme(key, parameters);
  if (scheme.kind === "whole" || scheme.hash !== "md5") return scheme;
  const text = "MD5 is good for verifying what was signed long ago: sign with SHA-256";
  throw new Refusal("FeatureNotSupported", text, "UnsupportedCryptographicParameters");
}

function digestScheme(scheme: SignatureScheme, digest: Buffer): HashScheme {
  if (scheme.kind === "whole") {
    throw new Refusal("InvalidField", "This algorithm signs whole messages: give Data, not Digested Data");
  }
  if (digest.length !== digestBytes(scheme.hash)) {
    throw new Refusal("InvalidField", "Digested Data is not as long as the Hashing Algorithm's digest");
  }
  return scheme;
}

/** Whether OpenSSL, as node:crypto offers it, does the scheme by itself. */
function isNative(scheme: HashScheme): boolean {
  return scheme.kind !== "pss" || scheme.hash === scheme.maskHash;
}

/** The key with its padding; alone where that says all, since node:crypto takes twice as long for an object around a key. */
function withPadding(key: KeyObject, scheme: HashScheme, saltByDefault: number = constants.RSA_PSS_SALTLEN_DIGEST) {
  // The padding of an RSA key, unless told otherwise, is PKCS#1 v1.5.
  if (scheme.kind !== "pss") return key;
  return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: scheme.saltBytes ?? saltByDefault };
}

/** What OpenSSL cannot do with key and hash together: a hash or salt that does not fit, or that an RSASSA-PSS key rules out. */
function possible<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(
      "CryptographicFailure",
      "The key does not sign or verify with these parameters: is the hash too long for it?",
    );
  }
}
