import { cryptographicAlgorithm as algorithm } from "../objects/enumerations.ts";

/** node:crypto's key type of the algorithms that have no parameters, by KMIP Cryptographic Algorithm. */
export const keyTypes: Readonly<Record<number, string>> = {
  [algorithm.ed25519]: "ed25519",
  [algorithm.ed448]: "ed448",
  [algorithm.mlKem512]: "ml-kem-512",
  [algorithm.mlKem768]: "ml-kem-768",
  [algorithm.mlKem1024]: "ml-kem-1024",
  [algorithm.mlDsa44]: "ml-dsa-44",
  [algorithm.mlDsa65]: "ml-dsa-65",
  [algorithm.mlDsa87]: "ml-dsa-87",
  [algorithm.slhDsaSha2_128s]: "slh-dsa-sha2-128s",
  [algorithm.slhDsaSha2_128f]: "slh-dsa-sha2-128f",
  [algorithm.slhDsaSha2_192s]: "slh-dsa-sha2-192s",
  [algorithm.slhDsaSha2_192f]: "slh-dsa-sha2-192f",
  [algorithm.slhDsaSha2_256s]: "slh-dsa-sha2-256s",
  [algorithm.slhDsaSha2_256f]: "slh-dsa-sha2-256f",
  [algorithm.slhDsaShake_128s]: "slh-dsa-shake-128s",
  [algorithm.slhDsaShake_128f]: "slh-dsa-shake-128f",
  [algorithm.slhDsaShake_192s]: "slh-dsa-shake-192s",
  [algorithm.slhDsaShake_192f]: "slh-dsa-shake-192f",
  [algorithm.slhDsaShake_256s]: "slh-dsa-shake-256s",
  [algorithm.slhDsaShake_256f]: "slh-dsa-shake-256f",
};

/** Cryptographic Length of those, in bits: of the field, or of the public key where there is no field. */
export const keyTypeBits: Readonly<Record<string, number>> = {
  ed25519: 256,
  ed448: 448,
  x25519: 256,
  x448: 448,
  "ml-kem-512": 6400,
  "ml-kem-768": 9472,
  "ml-kem-1024": 12544,
  "ml-dsa-44": 10496,
  "ml-dsa-65": 15616,
  "ml-dsa-87": 20736,
};

/** Algorithms of elliptic curves with a Recommended Curve. */
export const curveAlgorithms: readonly number[] = [algorithm.ecdsa, algorithm.ecdh, algorithm.ec, algorithm.ecmqv];

const byType = new Map(Object.entries(keyTypes).map(([value, type]) => [type, Number(value)]));

/** KMIP Cryptographic Algorithm of node:crypto's key type; undefined for others. */
export function algorithmOfType(type: string | undefined): number | undefined {
  const plain: Readonly<Record<string, number>> = {
    rsa: algorithm.rsa,
    "rsa-pss": algorithm.rsa,
    dsa: algorithm.dsa,
    dh: algorithm.dh,
    // ECDSA rather than EC: every protocol version has a word for it.
    ec: algorithm.ecdsa,
    x25519: algorithm.ecdh,
    x448: algorithm.ecdh,
  };
  return type === undefined ? undefined : (plain[type] ?? byType.get(type));
}
