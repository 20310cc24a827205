import { createPublicKey, type KeyObject } from "node:crypto";
import { Refusal } from "../objects/refusal.ts";
import { derBits, derChildren, derUnsigned, readDer } from "./der.ts";

/** An RSA key whose numbers are of none: it is good for nothing, and not taken either. */
export class ImpossibleKey extends Refusal {
  constructor(what: string) {
    super("CryptographicFailure", `The numbers are not those of an RSA key: ${what}`);
  }
}

/** Lengths of a modulus: a shorter one holds no signature with SHA-256, OpenSSL works with no longer one. */
const modulusBits = { least: 512, most: 16_384 } as const;

/** OpenSSL encrypts and verifies with no longer exponent where the modulus is longer than that. */
const longExponent = { modulusBits: 3_072, exponentBits: 64 } as const;

/**
 * Throws ImpossibleKey if the numbers are not those of an RSA key (RFC 8017, 3.1), as far as looking at them tells: OpenSSL reads
 * any two as one, and fails when it works with them. Throws Refusal if OpenSSL cannot work with the key all the same. The
 * numbers are those that OpenSSL has read, whatever form the key came in: to ask for them takes half as long as reading it. Not
 * by asymmetricKeyDetails: of a modulus of more than 16,384 bits they leave an error behind, which the next private key that
 * anybody has read gets.
 */
export function checkRsaKey(key: KeyObject): void {
  if (key.asymmetricKeyType !== "rsa" && key.asymmetricKeyType !== "rsa-pss") return;
  const { modulus, exponent } = publicNumbers(key);
  const bits = lengthOf(modulus);
  if (bits < modulusBits.least || bits > modulusBits.most)
    throw new ImpossibleKey(`its modulus has ${bits} bits, and not ${modulusBits.least} to ${modulusBits.most}`);
  if (isEven(modulus)) throw new ImpossibleKey("its modulus is even");
  if (isEven(exponent) || lengthOf(exponent) < 2) throw new ImpossibleKey("its public exponent is even or 1");
  if (exponent.length > modulus.length || (exponent.length === modulus.length && exponent.compare(modulus) >= 0))
    throw new ImpossibleKey("its public exponent is not smaller than its modulus");
  if (key.type === "public" && bits > longExponent.modulusBits && lengthOf(exponent) > longExponent.exponentBits)
    throw new Refusal(
      "InvalidField",
      `Public exponents of more than ${longExponent.exponentBits} bits are used with a modulus of at most ${longExponent.modulusBits} bits`,
    );
}

/** Whether an RSA or DSA key is shorter than so many bits, or none that anybody should work with; of others nothing is said. */
export function isWeak(key: KeyObject, leastBits: number): boolean {
  try {
    checkRsaKey(key);
  } catch {
    return true;
  }
  return (key.asymmetricKeyDetails?.modulusLength ?? leastBits) < leastBits;
}

/** Unsigned, big-endian, without zeros before them. */
function publicNumbers(key: KeyObject): { readonly modulus: Buffer; readonly exponent: Buffer } {
  const spki = (key.type === "private" ? createPublicKey(key) : key).export({ format: "der", type: "spki" });
  const [modulus, exponent] = derChildren(readDer(derBits(derChildren(readDer(spki))[1])));
  return { modulus: derUnsigned(modulus), exponent: derUnsigned(exponent) };
}

function isEven(number: Buffer): boolean {
  return ((number.at(-1) ?? 0) & 1) === 0;
}

/** In bits. */
function lengthOf(number: Buffer): number {
  return number.length === 0 ? 0 : 8 * number.length - (Math.clz32(number[0] ?? 0) - 24);
}
