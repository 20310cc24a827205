import { createECDH } from "node:crypto";
import { toNumber } from "./bytes.ts";

/** The numbers of a curve y² = x³ + ax + b: prime, a, order, generator. */
export interface Numbers {
  readonly p: bigint;
  readonly a: bigint;
  readonly n: bigint;
  readonly bytes: number;
  readonly g: Point;
}

/** A point in Jacobian form (x/z², y/z³); undefined is the point at infinity. For public numbers only: its time tells all. */
export interface Point {
  readonly x: bigint;
  readonly y: bigint;
  readonly z: bigint;
}

type PrimeAndOrder = readonly [p: bigint, a: bigint, n: bigint];

/** SP 800-186 and SEC 2. */
const tables: Readonly<Record<string, PrimeAndOrder>> = {
  secp224r1: [2n ** 224n - 2n ** 96n + 1n, -3n, 0xffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3dn],
  prime256v1: [
    2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    -3n,
    0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  ],
  secp384r1: [
    2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    -3n,
    0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  ],
  secp521r1: [
    2n ** 521n - 1n,
    -3n,
    0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
  ],
  secp256k1: [2n ** 256n - 2n ** 32n - 977n, 0n, 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n],
};

/** The numbers of a curve by OpenSSL's name; undefined for those that are not needed here. */
export function curveNumbers(name: string): Numbers | undefined {
  const table = tables[name];
  if (table === undefined) return undefined;
  const [p, a, n] = table;
  const bytes = Math.ceil(p.toString(2).length / 8);
  const exchange = createECDH(name);
  const one = Buffer.alloc(bytes);
  one[bytes - 1] = 1;
  exchange.setPrivateKey(one);
  const point = exchange.getPublicKey();
  const g = { x: toNumber(point.subarray(1, 1 + bytes)), y: toNumber(point.subarray(1 + bytes)), z: 1n };
  return { p, a: modulo(a, p), n, bytes, g };
}

/** The remainder, never negative. */
export function modulo(value: bigint, by: bigint): bigint {
  const rest = value % by;
  return rest < 0n ? rest + by : rest;
}

/** The inverse modulo a prime (extended Euclid). */
export function inverse(value: bigint, by: bigint): bigint {
  let [a, b, x, y] = [modulo(value, by), by, 1n, 0n];
  while (a > 1n) {
    const quotient = b / a;
    [a, b] = [b - quotient * a, a];
    [x, y] = [y - quotient * x, x];
  }
  return modulo(x, by);
}

/** f₀P₀ + f₁P₁ (Shamir's trick). */
export function multiplySum(
  factors: readonly [bigint, bigint],
  points: readonly [Point, Point],
  numbers: Numbers,
): Point | undefined {
  const both = add(points[0], points[1], numbers);
  let result: Point | undefined;
  for (let bit = numbers.n.toString(2).length - 1; bit >= 0; bit--) {
    result = double(result, numbers);
    const first = (factors[0] >> BigInt(bit)) & 1n;
    const second = (factors[1] >> BigInt(bit)) & 1n;
    if (first === 1n && second === 1n) result = add(result, both, numbers);
    else if (first === 1n) result = add(result, points[0], numbers);
    else if (second === 1n) result = add(result, points[1], numbers);
  }
  return result;
}

/** The point with z = 1. */
export function affine(point: Point | undefined, { p }: Numbers): { x: bigint; y: bigint } | undefined {
  if (point === undefined) return undefined;
  const z = inverse(point.z, p);
  const square = modulo(z * z, p);
  return { x: modulo(point.x * square, p), y: modulo(point.y * square * z, p) };
}

/** The sum of two points. */
export function add(one: Point | undefined, other: Point | undefined, numbers: Numbers): Point | undefined {
  if (one === undefined) return other;
  if (other === undefined) return one;
  const { p } = numbers;
  const [z1, z2] = [modulo(one.z * one.z, p), modulo(other.z * other.z, p)];
  const [u1, u2] = [modulo(one.x * z2, p), modulo(other.x * z1, p)];
  const [s1, s2] = [modulo(one.y * z2 * other.z, p), modulo(other.y * z1 * one.z, p)];
  if (u1 === u2) return s1 === s2 ? double(one, numbers) : undefined;
  const h = modulo(u2 - u1, p);
  const r = modulo(s2 - s1, p);
  const hh = modulo(h * h, p);
  const hhh = modulo(h * hh, p);
  const v = modulo(u1 * hh, p);
  const x = modulo(r * r - hhh - 2n * v, p);
  return { x, y: modulo(r * (v - x) - s1 * hhh, p), z: modulo(one.z * other.z * h, p) };
}

function double(point: Point | undefined, { p, a }: Numbers): Point | undefined {
  if (point === undefined || point.y === 0n) return undefined;
  const { x, y, z } = point;
  const yy = modulo(y * y, p);
  const s = modulo(4n * x * yy, p);
  const zz = modulo(z * z, p);
  const m = modulo(3n * x * x + a * zz * zz, p);
  const doubled = modulo(m * m - 2n * s, p);
  return { x: doubled, y: modulo(m * (s - doubled) - 8n * yy * yy, p), z: modulo(2n * y * z, p) };
}
