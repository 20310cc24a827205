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
/** Fractions that are looked at: the right one comes among the first few, and no later one is of a real key. */
const fractionsMax = 64;

/** The whole key. The numbers are not secret from this process, which reads them once; nobody else can time it. Throws Refusal. */
export function completeRsa(given: GivenRsa): RsaNumbers {
  if (given.modulus.length > modulusMaxBytes) throw new Refusal("InvalidField", "The modulus is too long");
  const n = toNumber(given.modulus);
  const known = (bytes: Buffer | undefined) => (bytes === undefined ? undefined : toNumber(bytes));
  const [p, q] = primes(n, known);
  function primes(modulus: bigint, read: typeof known): [bigint, bigint] {
    const one = read(given.p) ?? read(given.q);
    if (one !== undefined) {
      if (one <= 1n || one >= modulus || modulus % one !== 0n) throw incomplete();
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

/**
 * The factors of n from e·d - 1, which is k·(p - 1)·(q - 1)/g with a k below e and a small g. Since (p - 1)·(q - 1) is close
 * to n, k/g is among the continued fractions of (e·d - 1)/n as long as e is short (FIPS 186-5, 5.1: at most 256 bits). That
 * takes a few divisions and nothing by chance, where the usual search (SP 800-56B, appendix C) raises to powers as long as
 * the key, for seconds when the numbers are made to have no factor.
 */
function factors(n: bigint, multiple: bigint): [bigint, bigint] {
  let seen = 0;
  for (const { k, g } of fractions(multiple, n)) {
    const found = (multiple * g) % k === 0n ? withOrder(n, (multiple * g) / k) : undefined;
    if (found !== undefined) return found;
    seen += 1;
    if (seen === fractionsMax) break;
  }
  throw incomplete();
}

/** The continued fractions of a/b, one after another, each closer to it; those that are 0 are left out. */
function* fractions(a: bigint, b: bigint): Generator<{ k: bigint; g: bigint }> {
  let [rest, by] = [a, b];
  let [before, now] = [
    { k: 0n, g: 1n },
    { k: 1n, g: 0n },
  ];
  while (by > 0n) {
    const whole = rest / by;
    [rest, by] = [by, rest % by];
    [before, now] = [now, { k: whole * now.k + before.k, g: whole * now.g + before.g }];
    if (now.k > 0n) yield now;
  }
}

/** p and q, of which (p - 1)·(q - 1) is known besides n: their sum is, and so is their difference. */
function withOrder(n: bigint, order: bigint): [bigint, bigint] | undefined {
  const sum = n - order + 1n;
  const square = sum * sum - 4n * n;
  if (sum <= 0n || square < 0n) return undefined;
  const difference = squareRoot(square);
  const [p, q] = [(sum + difference) / 2n, (sum - difference) / 2n];
  return q > 1n && p * q === n ? [p, q] : undefined;
}

/** Rounded down. */
function squareRoot(value: bigint): bigint {
  if (value < 2n) return value;
  let root = 1n << BigInt((value.toString(16).length + 1) * 2);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

function greatestCommonDivisor(one: bigint, other: bigint): bigint {
  let [a, b] = [one, other];
  while (b > 0n) [a, b] = [b, a % b];
  return a;
}

function incomplete(): Refusal {
  return new Refusal("InvalidField", "The numbers of the RSA key do not belong together, or too few are given");
}
