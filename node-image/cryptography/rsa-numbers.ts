import { randomFillSync } from "node:crypto";
import { Refusal } from "../objects/refusal.ts";
import { toNumber } from "./bytes.ts";
import { inverse, modulo } from "./weierstrass.ts";

/** All numbers of an RSA private key (RFC 8017, 3.2). */
export interface RsaNumbers {
  readonly n: bigint;
  readonly e: bigint;
  readonly d: bigint;
  readonly p: bigint;
  readonly q: bigint;
  readonly dp: bigint;
  readonly dq: bigint;
  readonly qi: bigint;
}

/** What a client may leave out (KMIP 1.4, 2.1.7.4): only the modulus must be there, and enough to know the rest from. */
export interface GivenRsa {
  readonly modulus: Buffer;
  readonly publicExponent?: Buffer;
  readonly privateExponent?: Buffer;
  readonly p?: Buffer;
  readonly q?: Buffer;
}

const modulusMaxBytes = 1_024;
/** Bases that are tried: each finds the factors of a real key at least every second time. */
const attempts = 32;

/** The whole key. The numbers are not secret from this process, which reads them once; nobody else can time it. Throws Refusal. */
export function completeRsa(given: GivenRsa): RsaNumbers {
  if (given.modulus.length > modulusMaxBytes) throw new Refusal("InvalidField", "The modulus is too long");
  const n = toNumber(given.modulus);
  const known = (bytes: Buffer | undefined) => (bytes === undefined ? undefined : toNumber(bytes));
  const [p, q] = primes(n, known);
  function primes(modulus: bigint, read: typeof known): [bigint, bigint] {
    const one = read(given.p) ?? read(given.q);
    if (one !== undefined) {
      if (one <= 1n || modulus % one !== 0n) throw incomplete();
      return ordered(one, modulus / one);
    }
    const [e, d] = [read(given.publicExponent), read(given.privateExponent)];
    // Both are smaller than the modulus (RFC 8017, 3); larger ones would be long to work with.
    if (e === undefined || d === undefined || e >= modulus || d >= modulus) throw incomplete();
    return factors(modulus, e * d - 1n);
  }
  const order = ((p - 1n) * (q - 1n)) / greatestCommonDivisor(p - 1n, q - 1n);
  const e = known(given.publicExponent) ?? inverse(known(given.privateExponent) ?? 0n, order);
  const d = known(given.privateExponent) ?? inverse(e, order);
  if (p * q !== n || modulo(e * d, p - 1n) !== 1n || modulo(e * d, q - 1n) !== 1n) throw incomplete();
  return { n, e, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) };
}

function ordered(one: bigint, other: bigint): [bigint, bigint] {
  return one > other ? [one, other] : [other, one];
}

/** The factors of n from a multiple of the order of its group (SP 800-56B, appendix C). */
function factors(n: bigint, multiple: bigint): [bigint, bigint] {
  let odd = multiple;
  let twos = 0;
  while (odd > 0n && odd % 2n === 0n) {
    odd /= 2n;
    twos += 1;
  }
  for (let attempt = 0; attempt < attempts && odd > 0n; attempt++) {
    let y = power(toNumber(randomFillSync(Buffer.alloc(16))) + 2n, odd, n);
    for (let step = 0; step < twos; step++) {
      const square = (y * y) % n;
      if (square === 1n && y !== 1n && y !== n - 1n) {
        const one = greatestCommonDivisor(y - 1n, n);
        return ordered(one, n / one);
      }
      y = square;
    }
    // The exponents are not of this modulus: no other base would show more.
    if (y !== 1n) throw incomplete();
  }
  throw incomplete();
}

function power(base: bigint, exponent: bigint, by: bigint): bigint {
  let result = 1n;
  let square = base % by;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % by;
    square = (square * square) % by;
  }
  return result;
}

function greatestCommonDivisor(one: bigint, other: bigint): bigint {
  let [a, b] = [one, other];
  while (b > 0n) [a, b] = [b, a % b];
  return a;
}

function incomplete(): Refusal {
  return new Refusal("InvalidField", "The numbers of the RSA key do not belong together, or too few are given");
}
