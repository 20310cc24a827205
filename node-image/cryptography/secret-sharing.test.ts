import assert from "node:assert/strict";
import { generatePrimeSync, randomBytes } from "node:crypto";
import { test } from "node:test";
import { type Field, field8, field16, primeField } from "./galois-field.ts";
import { join, splitKeyMethod as method, type Share, type Sharing, sharingFault, split } from "./secret-sharing.ts";

const prime = generatePrimeSync(260, { bigint: true });
const sharings: readonly (readonly [string, Omit<Sharing, "parts" | "threshold">, number])[] = [
  ["GF(2^8)", { method: method.polynomial8 }, 33],
  ["GF(2^8) of FIPS 197", { method: method.polynomial8, polynomial: 283 }, 33],
  ["GF(2^16)", { method: method.polynomial16 }, 32],
  ["a prime field", { method: method.polynomialPrime, prime }, 32],
];

function subsets(shares: readonly Share[], size: number): Share[][] {
  if (size === 0) return [[]];
  return shares.flatMap((share, at) => subsets(shares.slice(at + 1), size - 1).map((rest) => [share, ...rest]));
}

for (const [name, kind, bytes] of sharings) {
  test(`${name}: any threshold of the shares joins to the secret, in any order`, () => {
    for (const [parts, threshold] of [
      [1, 1],
      [3, 2],
      [5, 3],
      [6, 6],
    ] as const) {
      const sharing = { ...kind, parts, threshold };
      const secret = randomBytes(bytes);
      assert.equal(sharingFault(sharing, bytes), undefined);
      const shares = split(secret, sharing);
      for (const some of subsets(shares, threshold)) {
        assert.deepEqual(join(some, sharing, bytes), secret);
        assert.deepEqual(join(some.toReversed(), sharing, bytes), secret);
      }
    }
  });

  test(`${name}: fewer shares go with every secret alike`, () => {
    // With the randomness of one sharing replaced, the same share of index 1 belongs to any other secret of one piece.
    const sharing = { ...kind, parts: 2, threshold: 2 };
    const seen = new Set<string>();
    const length = kind.method === method.polynomial16 ? 2 : 1;
    const small = kind.method === method.polynomialPrime ? { ...sharing, prime: 257n } : sharing;
    const secrets = [Buffer.alloc(length, 0), Buffer.alloc(length, 0x5a), Buffer.alloc(length, 0xff)];
    const counts = secrets.map((secret) => {
      const values = new Set<string>();
      for (let random = 0; random < (length === 2 ? 65_536 : 257); random += 1) {
        const fill = (buffer: Buffer) => {
          buffer
            .fill(0)
            .writeUIntBE(random, buffer.length - 2 >= 0 ? buffer.length - 2 : 0, Math.min(2, buffer.length));
          return buffer;
        };
        if (length === 1 && kind.method !== method.polynomialPrime && random > 255) continue;
        values.add(split(secret, small, fill)[0]?.bytes.toString("hex") as string);
      }
      for (const value of values) seen.add(value);
      return values.size;
    });
    for (const count of counts) assert.equal(count, seen.size, "a share that one secret can have, another cannot");
  });

  test(`${name}: two sharings of one secret have nothing in common, and a share too few joins to something else`, () => {
    const sharing = { ...kind, parts: 3, threshold: 3 };
    const secret = randomBytes(bytes);
    const [one, other] = [split(secret, sharing), split(secret, sharing)];
    for (const [at, share] of one.entries()) assert.notDeepEqual(share.bytes, other[at]?.bytes);
    assert.notDeepEqual(join(one.slice(0, 2), { ...sharing, threshold: 2 }, bytes), secret);
    assert.notDeepEqual(join([one[0], one[1], other[2]] as Share[], sharing, bytes), secret);
  });
}

test("XOR: all parts join to the secret, and all but one are random", () => {
  const sharing = { method: method.xor, parts: 4, threshold: 4 };
  const secret = randomBytes(32);
  const shares = split(secret, sharing);
  assert.deepEqual(join(shares, sharing, 32), secret);
  for (const some of subsets(shares, 3)) assert.notDeepEqual(join(some, sharing, 32), secret);
});

const fields: readonly (readonly [string, Field<number>, number])[] = [
  ["GF(2^8) by 283", field8(283), 256],
  ["GF(2^8) by 285", field8(285), 256],
  ["GF(2^16)", field16, 65_536],
];
for (const [name, field, size] of fields) {
  test(`${name}: every element but zero has its inverse, and multiplication distributes over addition`, () => {
    for (let element = 1; element < size; element += 1) {
      assert.equal(field.multiply(element, field.invert(element)), 1, `${element}`);
    }
    for (let round = 0; round < 2_000; round += 1) {
      const [a, b, c] = [0, 0, 0].map(() => randomBytes(2).readUInt16BE() % size) as [number, number, number];
      assert.equal(field.multiply(a, field.add(b, c)), field.add(field.multiply(a, b), field.multiply(a, c)));
      assert.equal(field.multiply(a, field.multiply(b, c)), field.multiply(field.multiply(a, b), c));
      assert.equal(field.multiply(a, b), field.multiply(b, a));
    }
  });
}

test("GF(2^8): the product of the example in FIPS 197, 4.2", () => {
  assert.equal(field8(283).multiply(0x57, 0x83), 0xc1);
  assert.equal(field8(283).multiply(0x57, 0x13), 0xfe);
});

test("GF(2^8) by x^8+x^4+x^3+x^2+1: 2 times 0x80 is 0x1d", () => {
  assert.equal(field8(285).multiply(2, 0x80), 0x1d);
});

test("GF(2^16): y² is y + m, as KMIP 1.4, 2.2.5 has it", () => {
  assert.equal(field16.multiply(0x0100, 0x0100), 0x013a);
});

test("a prime field: inverses", () => {
  const field = primeField(prime);
  for (let element = 1n; element < 50n; element += 1n) assert.equal(field.multiply(element, field.invert(element)), 1n);
});

const faults: readonly (readonly [string, Sharing, number, RegExp | undefined])[] = [
  ["more parts needed than there are", { method: 4, parts: 2, threshold: 3 }, 16, /Threshold/],
  ["no parts", { method: 4, parts: 0, threshold: 0 }, 16, /Parts/],
  ["too many parts", { method: 4, parts: 101, threshold: 2 }, 16, /1 to 100/],
  ["XOR with a threshold", { method: 1, parts: 3, threshold: 2 }, 16, /all parts/],
  ["an odd number of bytes in GF(2^16)", { method: 2, parts: 3, threshold: 2 }, 15, /even/],
  ["a prime that is too small", { method: 3, parts: 3, threshold: 2, prime: 65_537n }, 16, /larger than/],
  ["no prime", { method: 3, parts: 3, threshold: 2 }, 16, /larger than/],
];
for (const [sentence, sharing, bytes, expected] of faults) {
  test(`not shared: ${sentence}`, () => assert.match(sharingFault(sharing, bytes) ?? "", expected ?? /^$/));
}

test("joining takes no longer than splitting did, for many parts of a long key", () => {
  const sharing = { method: method.polynomial8, parts: 60, threshold: 60 };
  const secret = randomBytes(1_000);
  const timed = <Result>(work: () => Result) => {
    const started = process.cpuUsage();
    const result = work();
    return { result, microseconds: process.cpuUsage(started).user };
  };
  const made = timed(() => split(secret, sharing));
  const again = timed(() => join(made.result, sharing, secret.length));
  assert.deepEqual(again.result, secret);
  assert.ok(again.microseconds < 2 * made.microseconds, `${again.microseconds} µs after ${made.microseconds}`);
});
