import { inverse } from "./weierstrass.ts";

/** A finite field whose elements are whole numbers. */
export interface Field<Element> {
  readonly zero: Element;
  readonly one: Element;
  /** The element that stands for the n-th share, n from 1. */
  of(index: number): Element;
  add(one: Element, other: Element): Element;
  subtract(one: Element, other: Element): Element;
  multiply(one: Element, other: Element): Element;
  /** Of anything but zero. */
  invert(element: Element): Element;
}

/** Polynomials that GF(2^8) is made by, as KMIP 3.0 names them: x^8+x^4+x^3+x+1 (FIPS 197, 4) and x^8+x^4+x^3+x^2+1. */
export type BytePolynomial = 283 | 285;

/** GF(2^8): bytes modulo a polynomial. Without tables or branches on values, which would tell of them by time. */
export function field8(polynomial: BytePolynomial): Field<number> {
  return {
    zero: 0,
    one: 1,
    of: (index) => index,
    add: (one, other) => one ^ other,
    subtract: (one, other) => one ^ other,
    multiply: (one, other) => multiply8(one, other, polynomial),
    invert: (element) => invert8(element, polynomial),
  };
}

/** GF(2^16) as KMIP has it (1.4, 2.2.5): pairs u·y+v over GF(2^8) modulo y²+y+m; the upper byte is u. */
export const field16: Field<number> = {
  zero: 0,
  one: 1,
  of: (index) => index,
  add: (one, other) => one ^ other,
  subtract: (one, other) => one ^ other,
  multiply: (one, other) => {
    const [r, s, u, v] = [one >> 8, one & 0xff, other >> 8, other & 0xff];
    const sv = multiply8(s, v);
    return ((multiply8(r ^ s, u ^ v) ^ sv) << 8) | (multiply8(multiply8(r, u), m) ^ sv);
  },
  invert: (element) => {
    const [u, v] = [element >> 8, element & 0xff];
    const d = invert8(multiply8(u ^ v, v) ^ multiply8(m, multiply8(u, u)));
    return (multiply8(u, d) << 8) | multiply8(u ^ v, d);
  },
};

const m = 0x3a;

/** The field of whole numbers modulo a prime. */
export function primeField(prime: bigint): Field<bigint> {
  const reduce = (value: bigint) => ((value % prime) + prime) % prime;
  return {
    zero: 0n,
    one: 1n,
    of: (index) => BigInt(index),
    add: (one, other) => reduce(one + other),
    subtract: (one, other) => reduce(one - other),
    multiply: (one, other) => reduce(one * other),
    // Places of shares are inverted, which everybody knows: its time may tell of them.
    invert: (element) => inverse(element, prime),
  };
}

function multiply8(one: number, other: number, polynomial: BytePolynomial = 283): number {
  let product = 0;
  let factor = one;
  for (let bit = 0; bit < 8; bit += 1) {
    product ^= factor & -((other >> bit) & 1);
    factor = (factor << 1) ^ (polynomial & -(factor >> 7));
  }
  return product;
}

/** x^254, which is the inverse of x, and 0 for 0. */
function invert8(element: number, polynomial: BytePolynomial = 283): number {
  let result = 1;
  let square = element;
  for (let bit = 1; bit < 8; bit += 1) {
    square = multiply8(square, square, polynomial);
    result = multiply8(result, square, polynomial);
  }
  return result;
}
