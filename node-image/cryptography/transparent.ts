import { keyFormatType as format } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { ownCopy, unsigned } from "./bytes.ts";
import { curves, recommendedCurve } from "./curves.ts";
import {
  type DerElement,
  DerError,
  derBitString,
  derBits,
  derChildren,
  derInteger,
  derNull,
  derObjectIdentifier,
  derOctets,
  derOid,
  derSequence,
  derSmall,
  derTag,
  derUnsigned,
  expectTag,
  readDer,
} from "./der.ts";
import { completeRsa } from "./rsa-numbers.ts";

/** The members of a transparent Key Material (KMIP 1.4, 2.1.7): numbers as unsigned bytes, big-endian. */
export interface TransparentKey {
  readonly modulus?: Buffer;
  readonly privateExponent?: Buffer;
  readonly publicExponent?: Buffer;
  readonly p?: Buffer;
  readonly q?: Buffer;
  readonly primeExponentP?: Buffer;
  readonly primeExponentQ?: Buffer;
  readonly crtCoefficient?: Buffer;
  readonly g?: Buffer;
  readonly j?: Buffer;
  readonly x?: Buffer;
  readonly y?: Buffer;
  readonly recommendedCurve?: number;
  readonly d?: Buffer;
  readonly qString?: Buffer;
}

type Family = "rsa" | "dsa" | "dh" | "ec";

interface TransparentFormat {
  readonly type: "public" | "private";
  readonly family: Family;
  /** node:crypto's key types that can be told so. */
  readonly keyTypes: readonly string[];
}

const families: Readonly<Record<Family, readonly string[]>> = {
  rsa: ["rsa"],
  dsa: ["dsa"],
  dh: ["dh"],
  ec: ["ec", "x25519", "x448"],
};
const one = (type: "public" | "private", family: Family): TransparentFormat => ({
  type,
  family,
  keyTypes: families[family],
});

/** Transparent asymmetric formats by KMIP Key Format Type. */
export const transparentFormats: Readonly<Record<number, TransparentFormat>> = {
  [format.transparentDsaPrivateKey]: one("private", "dsa"),
  [format.transparentDsaPublicKey]: one("public", "dsa"),
  [format.transparentRsaPrivateKey]: one("private", "rsa"),
  [format.transparentRsaPublicKey]: one("public", "rsa"),
  [format.transparentDhPrivateKey]: one("private", "dh"),
  [format.transparentDhPublicKey]: one("public", "dh"),
  [format.transparentEcdsaPrivateKey]: one("private", "ec"),
  [format.transparentEcdsaPublicKey]: one("public", "ec"),
  [format.transparentEcdhPrivateKey]: one("private", "ec"),
  [format.transparentEcdhPublicKey]: one("public", "ec"),
  [format.transparentEcPrivateKey]: one("private", "ec"),
  [format.transparentEcPublicKey]: one("public", "ec"),
};

/** The DER that a transparent key is kept as: PKCS#8 or SubjectPublicKeyInfo. Throws Refusal. */
export function transparentToDer(keyFormatType: number, key: TransparentKey): Buffer {
  const row = rowOf(keyFormatType);
  const isPrivate = row.type === "private";
  switch (row.family) {
    case "rsa":
      return isPrivate ? pkcs8(rsaAlgorithm, rsaPrivate(key)) : spki(rsaAlgorithm, rsaPublic(key));
    case "dsa": {
      const head = derSequence(derObjectIdentifier(oid.dsa), group(needed(key.p), needed(key.q), needed(key.g)));
      return isPrivate ? pkcs8(head, derInteger(needed(key.x))) : spki(head, derInteger(needed(key.y)));
    }
    case "dh": {
      const head = dhAlgorithm(key);
      return isPrivate ? pkcs8(head, derInteger(needed(key.x))) : spki(head, derInteger(needed(key.y)));
    }
    case "ec":
      return isPrivate ? ecPrivate(key) : ecPublic(key);
  }
}

/** The reverse, as copies that the caller zeroes. Throws Refusal if the bytes are no such key. */
export function derToTransparent(keyFormatType: number, bytes: Buffer): TransparentKey {
  const row = rowOf(keyFormatType);
  try {
    return row.type === "private" ? fromPkcs8(row.family, bytes) : fromSpki(row.family, bytes);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new Refusal("KeyFormatTypeNotSupported", "The key has no form in this Key Format Type");
  }
}

function rowOf(keyFormatType: number): TransparentFormat {
  const row = transparentFormats[keyFormatType];
  if (row === undefined)
    throw new Refusal("KeyFormatTypeNotSupported", "This transparent Key Format Type is not offered");
  return row;
}

const oid = {
  rsa: "1.2.840.113549.1.1.1",
  dsa: "1.2.840.10040.4.1",
  dh: "1.2.840.113549.1.3.1",
  dhx: "1.2.840.10046.2.1",
  ec: "1.2.840.10045.2.1",
} as const;
const rsaAlgorithm = derSequence(derObjectIdentifier(oid.rsa), derNull);

/** The key is zeroed: the result has it. */
function pkcs8(algorithm: Buffer, key: Buffer): Buffer {
  return around([derOctets(key)], (octets) => {
    key.fill(0);
    return derSequence(derSmall(0), algorithm, ...octets);
  });
}

/** What is made of secret parts, which are zeroed. */
function around(secrets: readonly Buffer[], make: (secrets: readonly Buffer[]) => Buffer): Buffer {
  try {
    return make(secrets);
  } finally {
    for (const each of secrets) each.fill(0);
  }
}

function spki(algorithm: Buffer, key: Buffer): Buffer {
  return derSequence(algorithm, derBitString(key));
}

function group(...numbers: readonly Buffer[]): Buffer {
  return derSequence(...numbers.map(derInteger));
}

function rsaPublic(key: TransparentKey): Buffer {
  return group(needed(key.modulus), needed(key.publicExponent));
}

/** RSAPrivateKey (RFC 8017, A.1.2). */
function rsaPrivate(key: TransparentKey): Buffer {
  const all = completeRsa({ ...key, modulus: needed(key.modulus) });
  const { n, e, d, p, q, dp, dq, qi } = all;
  const bytes = [n, e, d, p, q, dp, dq, qi].map((number) => unsigned(number));
  return around(bytes, () => around(bytes.map(derInteger), (numbers) => derSequence(derSmall(0), ...numbers)));
}

/** X9.42 has a place for Q and J (RFC 3279, 2.3.3), PKCS#3 has not. */
function dhAlgorithm({ p, g, q, j }: TransparentKey): Buffer {
  if (q === undefined) return derSequence(derObjectIdentifier(oid.dh), group(needed(p), needed(g)));
  const numbers = [needed(p), needed(g), q, ...(j === undefined ? [] : [j])];
  return derSequence(derObjectIdentifier(oid.dhx), group(...numbers));
}

function ecAlgorithm({ recommendedCurve: value }: TransparentKey): { head: Buffer; weierstrass: boolean } {
  if (value === undefined) throw incomplete();
  const curve = recommendedCurve(value);
  const parts = curve.weierstrass ? [oid.ec, curve.oid] : [curve.oid];
  return { head: derSequence(...parts.map(derObjectIdentifier)), weierstrass: curve.weierstrass };
}

/** ECPrivateKey (RFC 5915), or the octets of RFC 8410. */
function ecPrivate(key: TransparentKey): Buffer {
  const { head, weierstrass } = ecAlgorithm(key);
  const d = needed(key.d);
  if (!weierstrass) return pkcs8(head, derOctets(d));
  const { bits } = recommendedCurve(key.recommendedCurve ?? 0);
  const scalar = Buffer.alloc(Math.ceil(bits / 8));
  if (d.length > scalar.length) throw new Refusal("InvalidField", "D is too long for the curve");
  scalar.set(d, scalar.length - d.length);
  return around([scalar], () =>
    around([derOctets(scalar)], (octets) => pkcs8(head, derSequence(derSmall(1), ...octets))),
  );
}

function ecPublic(key: TransparentKey): Buffer {
  return spki(ecAlgorithm(key).head, needed(key.qString));
}

function needed(number: Buffer | undefined): Buffer {
  if (number === undefined || number.length === 0) throw incomplete();
  return number;
}

function incomplete(): Refusal {
  return new Refusal("InvalidField", "A number of the transparent Key Material is missing");
}

function fromPkcs8(family: Family, bytes: Buffer): TransparentKey {
  const [, algorithm, octets] = derChildren(readDer(bytes));
  const key = expectTag(octets, derTag.octetString).content;
  switch (family) {
    case "rsa": {
      const [, ...numbers] = derChildren(readDer(key));
      const [modulus, publicExponent, privateExponent, p, q, primeExponentP, primeExponentQ, crtCoefficient] =
        copies(numbers);
      const rest = { p, q, primeExponentP, primeExponentQ, crtCoefficient };
      return present({ modulus, publicExponent, privateExponent, ...rest });
    }
    case "ec":
      return ecFromPkcs8(algorithm, key);
    default:
      return present({ ...groupOf(family, algorithm), x: ownCopy(derUnsigned(readDer(key))) });
  }
}

function ecFromPkcs8(algorithm: DerElement | undefined, key: Buffer): TransparentKey {
  const curve = curveOf(algorithm);
  const octets = curve.weierstrass ? derChildren(readDer(key))[1] : readDer(key);
  return { recommendedCurve: curve.recommended, d: ownCopy(expectTag(octets, derTag.octetString).content) };
}

function fromSpki(family: Family, bytes: Buffer): TransparentKey {
  const [algorithm, bits] = derChildren(readDer(bytes));
  const key = derBits(bits);
  switch (family) {
    case "rsa": {
      const [modulus, publicExponent] = copies(derChildren(readDer(key)));
      return present({ modulus, publicExponent });
    }
    case "ec":
      return { recommendedCurve: curveOf(algorithm).recommended, qString: ownCopy(key) };
    default:
      return present({ ...groupOf(family, algorithm), y: ownCopy(derUnsigned(readDer(key))) });
  }
}

function groupOf(family: "dsa" | "dh", algorithm: DerElement | undefined): TransparentKey {
  const [name, parameters] = derChildren(expectTag(algorithm, derTag.sequence));
  const numbers = copies(derChildren(expectTag(parameters, derTag.sequence)));
  if (family === "dsa") return present({ p: numbers[0], q: numbers[1], g: numbers[2] });
  if (derOid(name) === oid.dh) return present({ p: numbers[0], g: numbers[1] });
  return present({ p: numbers[0], g: numbers[1], q: numbers[2], j: numbers[3] });
}

function curveOf(algorithm: DerElement | undefined) {
  const [name, parameters] = derChildren(expectTag(algorithm, derTag.sequence));
  const named = derOid(name) === oid.ec ? derOid(parameters) : derOid(name);
  const curve = curves.find((each) => each.oid === named);
  if (curve === undefined) throw new DerError(`the curve ${named}`);
  return curve;
}

function copies(elements: readonly DerElement[]): (Buffer | undefined)[] {
  return elements.map((element) => ownCopy(derUnsigned(element)));
}

/** Without the members that are absent. */
function present(key: { readonly [Name in keyof TransparentKey]: TransparentKey[Name] | undefined }): TransparentKey {
  return Object.fromEntries(Object.entries(key).filter(([, value]) => value !== undefined)) as TransparentKey;
}
