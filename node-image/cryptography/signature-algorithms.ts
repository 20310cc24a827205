import { type KeyObject, sign, verify } from "node:crypto";
import { digitalSignatureAlgorithm as combined } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { derNull, derObjectIdentifier, derSequence } from "./der.ts";
import { signWhole } from "./signature.ts";

/** How X.509 names a signature (RFC 5280, 4.1.1.2). */
interface Named {
  readonly oid: string;
  /** node:crypto's key type, and for curves the curve. */
  readonly keyType: string;
  /** OpenSSL's hash; undefined for algorithms that hash by themselves. */
  readonly hash?: string;
  /** RSA's old identifiers carry NULL parameters (RFC 4055, 5). */
  readonly parameters?: Buffer;
  /** KMIP Digital Signature Algorithm, where it has one. */
  readonly digital?: number;
}

const rsa = { keyType: "rsa", parameters: derNull } as const;
const nist = "2.16.840.1.101.3.4.3";

const table: readonly Named[] = [
  { oid: "1.2.840.113549.1.1.11", hash: "sha256", digital: combined.sha256WithRsa, ...rsa },
  { oid: "1.2.840.113549.1.1.12", hash: "sha384", digital: combined.sha384WithRsa, ...rsa },
  { oid: "1.2.840.113549.1.1.13", hash: "sha512", digital: combined.sha512WithRsa, ...rsa },
  { oid: "1.2.840.10045.4.3.2", keyType: "ec", hash: "sha256", digital: combined.ecdsaWithSha256 },
  { oid: "1.2.840.10045.4.3.3", keyType: "ec", hash: "sha384", digital: combined.ecdsaWithSha384 },
  { oid: "1.2.840.10045.4.3.4", keyType: "ec", hash: "sha512", digital: combined.ecdsaWithSha512 },
  { oid: `${nist}.2`, keyType: "dsa", hash: "sha256", digital: combined.dsaWithSha256 },
  { oid: "1.3.101.112", keyType: "ed25519" },
  { oid: "1.3.101.113", keyType: "ed448" },
  ...["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"].map((keyType, at) => ({ oid: `${nist}.${17 + at}`, keyType })),
  ...["sha2-128s", "sha2-128f", "sha2-192s", "sha2-192f", "sha2-256s", "sha2-256f"].map((name, at) => ({
    oid: `${nist}.${20 + at}`,
    keyType: `slh-dsa-${name}`,
  })),
  ...["shake-128s", "shake-128f", "shake-192s", "shake-192f", "shake-256s", "shake-256f"].map((name, at) => ({
    oid: `${nist}.${26 + at}`,
    keyType: `slh-dsa-${name}`,
  })),
];

/** A signature by a key, with the AlgorithmIdentifier that names it. */
export interface NamedSigner {
  readonly identifier: Buffer;
  readonly sign: (data: Buffer) => Buffer | Promise<Buffer>;
}

/** The usual signature of a private key: the hash goes with the length of the curve. Throws Refusal. */
export function signerOf(key: KeyObject): NamedSigner {
  const hash = hashFor(key);
  const row = table.find(
    ({ keyType, hash: each }) => keyType === key.asymmetricKeyType && (hash === undefined || each === hash),
  );
  if (row === undefined || key.type !== "private") {
    throw new Refusal("InvalidField", "The issuer's key does not sign certificates: use RSA, EC, Ed25519 or ML-DSA");
  }
  const identifier = derSequence(
    derObjectIdentifier(row.oid),
    ...(row.parameters === undefined ? [] : [row.parameters]),
  );
  const { hash: named } = row;
  return { identifier, sign: (data) => (named === undefined ? signWhole(key, data) : sign(named, data, key)) };
}

function hashFor(key: KeyObject): string | undefined {
  if (key.asymmetricKeyType !== "ec") return key.asymmetricKeyType === "rsa" ? "sha256" : undefined;
  const curve = key.asymmetricKeyDetails?.namedCurve ?? "";
  if (/384/.test(curve)) return "sha384";
  return /512|521/.test(curve) ? "sha512" : "sha256";
}

/** Whether the signature, named by an object identifier, is one of the data; false for algorithms that are not known here. */
export function verifyNamed(
  oid: string,
  key: KeyObject,
  { data, signature }: { readonly data: Buffer; readonly signature: Buffer },
): boolean {
  const row = table.find((each) => each.oid === oid && each.keyType === key.asymmetricKeyType);
  return row !== undefined && verify(row.hash ?? null, data, key, signature);
}

/** Signatures of certificates that clients bring: they are named, and neither made nor trusted here. */
const namedOnly: Readonly<Record<string, number>> = {
  "1.2.840.113549.1.1.2": 0x1,
  "1.2.840.113549.1.1.4": 0x2,
  "1.2.840.113549.1.1.5": 0x3,
  "1.2.840.113549.1.1.14": 0x4,
  "1.2.840.113549.1.1.10": 0x8,
  "1.2.840.10040.4.3": 0x9,
  [`${nist}.1`]: 0xa,
  "1.2.840.10045.4.1": 0xc,
  "1.2.840.10045.4.3.1": 0xd,
  [`${nist}.14`]: 0x11,
  [`${nist}.15`]: 0x12,
  [`${nist}.16`]: 0x13,
};

/** KMIP Digital Signature Algorithm of an object identifier; undefined where KMIP has no name for it. */
export function digitalSignatureOf(oid: string): number | undefined {
  return table.find((row) => row.oid === oid)?.digital ?? namedOnly[oid];
}

/** Whether signatures of this name are verified at all. */
export function isVerified(oid: string): boolean {
  return table.some((row) => row.oid === oid);
}
