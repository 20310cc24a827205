import { createECDH, type KeyObject, randomFillSync } from "node:crypto";
import { Refusal } from "../objects/refusal.ts";
import { toNumber, unsigned } from "./bytes.ts";
import { DerError, derBigInt, derChildren, derInteger, derSequence, derTag, expectTag, readDer } from "./der.ts";
import { add, affine, curveNumbers, inverse, modulo, multiplySum, type Numbers, type Point } from "./weierstrass.ts";

/**
 * ECDSA over a digest that the client made: node:crypto hashes always. The scalar multiplication of the secret nonce is
 * OpenSSL's; the rest is one equation, blinded by a random factor so that the time of its divisions tells nothing of key or nonce.
 */
export function ecdsaSignDigest(key: KeyObject, digest: Buffer): Buffer {
  const { name, numbers } = curveOf(key);
  const z = leftmost(digest, numbers.n);
  const scalar = privateScalar(key);
  const secret = toNumber(scalar);
  scalar.fill(0);
  for (;;) {
    const nonce = randomScalar(numbers);
    const r = modulo(xOfPublic(name, nonce, numbers), numbers.n);
    const k = toNumber(nonce);
    nonce.fill(0);
    const blind = toNumber(randomScalar(numbers));
    const sum = modulo(blind * z + modulo(blind * r, numbers.n) * secret, numbers.n);
    const s = modulo(inverse(modulo(k * blind, numbers.n), numbers.n) * sum, numbers.n);
    if (r !== 0n && s !== 0n) return derSequence(derInteger(unsigned(r)), derInteger(unsigned(s)));
  }
}

/** Whether a DER signature is one of the digest: public numbers only. */
export function ecdsaVerifyDigest(key: KeyObject, digest: Buffer, signature: Buffer): boolean {
  const { numbers } = curveOf(key);
  // Far more than two numbers of the curve: reading it would take longer than refusing it.
  const parts = signature.length > 4 * numbers.bytes ? undefined : signatureParts(signature);
  if (parts === undefined) return false;
  const { r, s } = parts;
  if (r <= 0n || r >= numbers.n || s <= 0n || s >= numbers.n) return false;
  const w = inverse(s, numbers.n);
  const factors = [modulo(leftmost(digest, numbers.n) * w, numbers.n), modulo(r * w, numbers.n)] as const;
  const point = affine(multiplySum(factors, [numbers.g, publicPoint(key, numbers)], numbers), numbers);
  return point !== undefined && modulo(point.x, numbers.n) === r;
}

function signatureParts(signature: Buffer): { r: bigint; s: bigint } | undefined {
  try {
    const [r, s, ...more] = derChildren(readDer(signature));
    return more.length > 0 ? undefined : { r: derBigInt(r), s: derBigInt(s) };
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

function curveOf(key: KeyObject): { name: string; numbers: Numbers } {
  const name = key.asymmetricKeyDetails?.namedCurve ?? "";
  const numbers = curveNumbers(name);
  if (numbers === undefined) {
    throw new Refusal("FeatureNotSupported", "Keys on this curve sign and verify Data, not Digested Data");
  }
  return { name, numbers };
}

/** The leftmost bits of the digest, as many as the order has (FIPS 186-5, 6.4.1). */
function leftmost(digest: Buffer, order: bigint): bigint {
  const excess = digest.length * 8 - order.toString(2).length;
  const value = toNumber(digest);
  return excess > 0 ? value >> BigInt(excess) : value;
}

function randomScalar({ n, bytes }: Numbers): Buffer {
  const scalar = Buffer.alloc(bytes);
  const topBits = n.toString(2).length % 8;
  for (;;) {
    randomFillSync(scalar);
    if (topBits !== 0) scalar[0] = (scalar[0] ?? 0) & (0xff >> (8 - topBits));
    const value = toNumber(scalar);
    if (value > 0n && value < n) return scalar;
  }
}

function xOfPublic(name: string, scalar: Buffer, { bytes }: Numbers): bigint {
  const exchange = createECDH(name);
  exchange.setPrivateKey(scalar);
  return toNumber(exchange.getPublicKey().subarray(1, 1 + bytes));
}

/** The private number of an EC key (RFC 5915), in a buffer of its own. */
export function privateScalar(key: KeyObject): Buffer {
  const sec1 = key.export({ format: "der", type: "sec1" });
  try {
    const [, scalar] = derChildren(readDer(sec1));
    const { content } = expectTag(scalar, derTag.octetString);
    const copy = Buffer.alloc(content.length);
    copy.set(content);
    return copy;
  } finally {
    sec1.fill(0);
  }
}

/** The point of a public EC key, uncompressed (SEC 1, 2.3.3) also where it came compressed: OpenSSL gives it as it came. */
function publicPoint(key: KeyObject, numbers: Numbers): Point {
  const options = { format: "raw-public", type: "uncompressed" };
  const point = key.export(options as unknown as { format: "der"; type: "spki" });
  const x = toNumber(point.subarray(1, 1 + numbers.bytes));
  return add(undefined, { x, y: toNumber(point.subarray(1 + numbers.bytes)), z: 1n }, numbers) as Point;
}
