import { randomFillSync } from "node:crypto";
import { toNumber, unsigned } from "./bytes.ts";
import { type BytePolynomial, type Field, field8, field16, primeField } from "./galois-field.ts";
import { sameBytes } from "./hash.ts";

/** KMIP Split Key Method (1.4, 9.1.3.2.8). */
export const splitKeyMethod = { xor: 1, polynomial16: 2, polynomialPrime: 3, polynomial8: 4 } as const;

/** How a secret is shared (KMIP 1.4, 2.2.5): any `threshold` of `parts` give it, fewer tell nothing. */
export interface Sharing {
  readonly method: number;
  readonly parts: number;
  readonly threshold: number;
  /** For the prime field: a prime that is larger than every secret of this length. */
  readonly prime?: bigint;
  /** For GF(2^8); absent means `usualPolynomial`. */
  readonly polynomial?: BytePolynomial;
}

/** KMIP until 2.1 does not say by which polynomial GF(2^8) is made. The parts of OASIS's case TC-SJ-3-12 are of this one. */
export const usualPolynomial: BytePolynomial = 285;

/** One share; `index` from 1. */
export interface Share {
  readonly index: number;
  readonly bytes: Buffer;
}

/** Fills a buffer with random bytes. */
export type FillRandom = (buffer: Buffer) => Buffer;

/** The shares of a secret, in order, in buffers of their own. Its caller has checked the sharing with `sharingFault`. */
export function split(secret: Buffer, sharing: Sharing, fill: FillRandom = randomFillSync): Share[] {
  const { method, parts } = sharing;
  if (method === splitKeyMethod.xor) return splitByXor(secret, parts, fill);
  const shares = Array.from({ length: parts }, (_, at) => ({
    index: at + 1,
    bytes: Buffer.alloc(method === splitKeyMethod.polynomialPrime ? primeBytes(sharing) : secret.length),
  }));
  if (method === splitKeyMethod.polynomialPrime) splitByPrime(secret, sharing, { shares, fill });
  else splitByPieces(secret, sharing, { shares, fill });
  return shares;
}

/** The secret of so many bytes, from at least `threshold` shares with different indices; of any others it is some other bytes. */
export function join(shares: readonly Share[], sharing: Sharing, secretBytes: number): Buffer {
  if (sharing.method === splitKeyMethod.xor) return joinByXor(shares);
  const enough = shares.slice(0, sharing.threshold);
  if (sharing.method === splitKeyMethod.polynomialPrime) {
    const field = primeField(sharing.prime as bigint);
    const value = sumOf(enough, field, weightsAtZero(enough, field), ({ bytes }) => toNumber(bytes));
    return unsigned(value, Math.max(secretBytes, lengthOf(value)));
  }
  const { field, step } = pieces(sharing);
  const weights = weightsAtZero(enough, field);
  const secret = Buffer.alloc(enough[0]?.bytes.length ?? 0);
  for (let at = 0; at < secret.length; at += step) {
    secret.writeUIntBE(
      sumOf(enough, field, weights, ({ bytes }) => bytes.readUIntBE(at, step)),
      at,
      step,
    );
  }
  return secret;
}

/**
 * Whether shares beyond those that are needed give the same secret. Of just enough shares nobody can tell that one was changed.
 * Each share is looked at once, or twice, as the work that everybody waits for is bounded.
 */
export function fitTogether(shares: readonly Share[], sharing: Sharing, secretBytes: number): boolean {
  const { method, threshold } = sharing;
  if (method === splitKeyMethod.xor) return true;
  const last = shares.length - threshold;
  const starts = Array.from({ length: Math.ceil(shares.length / threshold) }, (_, at) =>
    Math.min(at * threshold, last),
  );
  const secrets = starts.map((from) => join(shares.slice(from), sharing, secretBytes));
  const fit = secrets.every((each) => sameBytes(each, secrets[0] as Buffer));
  for (const each of secrets) each.fill(0);
  return fit;
}

/** Most parts that are made. */
export const partsMax = 100;
/** Bytes that all parts may have together: they are made, sealed and written at once. */
const allPartsMaxBytes = 1_048_576;
/** Multiplications of one splitting or joining, some 20 ns each: everybody waits for them. */
export const sharingMaxWork = 10_000_000;

/** What is wrong with a sharing for secrets of so many bytes, as a sentence; undefined when nothing is. */
export function sharingFault({ method, parts, threshold, prime }: Sharing, secretBytes: number): string | undefined {
  if (parts < 1 || parts > partsMax || threshold < 1 || threshold > parts) {
    return `Split Key Parts must be 1 to ${partsMax}, and Split Key Threshold not more than the parts`;
  }
  if (parts * secretBytes > allPartsMaxBytes)
    return `The parts would have more than ${allPartsMaxBytes} bytes together: split a key that protects the data`;
  if (method !== splitKeyMethod.xor && parts * threshold * secretBytes > sharingMaxWork)
    return "The key is too long for so many parts: take fewer of them, or a lower Split Key Threshold";
  if (method === splitKeyMethod.xor) {
    return threshold === parts ? undefined : "By XOR all parts are needed: Split Key Threshold must be Split Key Parts";
  }
  if (method === splitKeyMethod.polynomial16 && secretBytes % 2 !== 0) {
    return "Polynomial Sharing GF(2^16) takes keys of an even number of bytes: use GF(2^8)";
  }
  if (method === splitKeyMethod.polynomialPrime && (prime === undefined || prime <= 1n << BigInt(8 * secretBytes))) {
    return "Prime Field Size must be a prime larger than 2 to the number of the key's bits";
  }
  return undefined;
}

function splitByXor(secret: Buffer, parts: number, fill: FillRandom): Share[] {
  const last = Buffer.alloc(secret.length);
  secret.copy(last);
  const random = Array.from({ length: parts - 1 }, (_, at) => ({
    index: at + 1,
    bytes: fill(Buffer.alloc(secret.length)),
  }));
  for (const { bytes } of random) xorInto(last, bytes);
  return [...random, { index: parts, bytes: last }];
}

function joinByXor(shares: readonly Share[]): Buffer {
  const secret = Buffer.alloc(shares[0]?.bytes.length ?? 0);
  for (const { bytes } of shares) xorInto(secret, bytes);
  return secret;
}

function xorInto(target: Buffer, other: Buffer): void {
  for (let at = 0; at < target.length; at += 1) target[at] = (target[at] as number) ^ (other[at] as number);
}

interface Into {
  readonly shares: readonly Share[];
  readonly fill: FillRandom;
}

function splitByPieces(secret: Buffer, sharing: Sharing, { shares, fill }: Into): void {
  const { threshold } = sharing;
  const { field, step } = pieces(sharing);
  const random = fill(Buffer.alloc(step * (threshold - 1)));
  for (let at = 0; at < secret.length; at += step) {
    const coefficients = [secret.readUIntBE(at, step)];
    for (let each = 0; each < threshold - 1; each += 1) coefficients.push(random.readUIntBE(each * step, step));
    for (const { index, bytes } of shares) bytes.writeUIntBE(evaluate(coefficients, field, field.of(index)), at, step);
    fill(random);
  }
  random.fill(0);
}

function splitByPrime(secret: Buffer, sharing: Sharing, { shares, fill }: Into): void {
  const prime = sharing.prime as bigint;
  const field = primeField(prime);
  // Twice the length, so that the remainder is as good as equally distributed.
  const random = Buffer.alloc(2 * primeBytes(sharing));
  const coefficients = [toNumber(secret)];
  for (let each = 1; each < sharing.threshold; each += 1) coefficients.push(toNumber(fill(random)) % prime);
  random.fill(0);
  for (const { index, bytes } of shares) {
    bytes.set(unsigned(evaluate(coefficients, field, field.of(index)), bytes.length));
  }
}

/** The polynomial with these coefficients, constant first, at a place. */
function evaluate<Element>(coefficients: readonly Element[], field: Field<Element>, at: Element): Element {
  return coefficients.reduceRight((sum, each) => field.add(field.multiply(sum, at), each), field.zero);
}

/**
 * What each share's value counts for in the value at zero of the polynomial through all of them (Lagrange). That follows from
 * their places alone: it is computed once, however long the secret is.
 */
function weightsAtZero<Element>(shares: readonly Share[], field: Field<Element>): readonly Element[] {
  return shares.map(({ index: own }) => {
    let [above, below] = [field.one, field.one];
    for (const { index } of shares) {
      if (index === own) continue;
      above = field.multiply(above, field.of(index));
      below = field.multiply(below, field.subtract(field.of(index), field.of(own)));
    }
    return field.multiply(above, field.invert(below));
  });
}

function sumOf<Element>(
  shares: readonly Share[],
  field: Field<Element>,
  weights: readonly Element[],
  valueIn: (share: Share) => Element,
): Element {
  return shares.reduce(
    (sum, share, at) => field.add(sum, field.multiply(weights[at] as Element, valueIn(share))),
    field.zero,
  );
}

function pieces({ method, polynomial = usualPolynomial }: Sharing): {
  readonly field: Field<number>;
  readonly step: 1 | 2;
} {
  return method === splitKeyMethod.polynomial16 ? { field: field16, step: 2 } : { field: field8(polynomial), step: 1 };
}

function primeBytes({ prime }: Sharing): number {
  return lengthOf(prime as bigint);
}

function lengthOf(value: bigint): number {
  return Math.ceil(value.toString(16).length / 2);
}
