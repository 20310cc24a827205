import { Refusal } from "../objects/refusal.ts";
import { type DerElement, derChildren, derOid, derTag, derUnsigned, expectTag, readDer } from "./der.ts";

/** Longer numbers would keep everybody waiting while one client's key is used. */
export const numberMaxBits = 8_192;

/** DSA, Diffie-Hellman by PKCS#3 and by X9.42: of all of them the prime is the first parameter. */
const groups: readonly string[] = ["1.2.840.10040.4.1", "1.2.840.113549.1.3.1", "1.2.840.10046.2.1"];

/**
 * Looks at the numbers of a DSA or Diffie-Hellman private key (PKCS#8) before OpenSSL reads it. OpenSSL computes the public number
 * while it reads the private one, a power in a group of any size: numbers of a megabyte would keep everybody waiting for
 * weeks. Throws Refusal if they are too long, DerError if the bytes are no PKCS#8.
 */
export function checkGroup(pkcs8: Buffer): void {
  const [, algorithm, octets] = derChildren(readDer(pkcs8));
  const [name, parameters] = derChildren(expectTag(algorithm, derTag.sequence));
  if (!groups.includes(derOid(name))) return;
  const [prime] = derChildren(expectTag(parameters, derTag.sequence));
  const secret = readDer(expectTag(octets, derTag.octetString).content);
  if ([prime, secret].some(isTooLong)) throw tooLong();
}

/** What becomes of such a key. */
export function tooLong(): Refusal {
  return new Refusal("InvalidField", `Keys of more than ${numberMaxBits} bits are kept, not used`);
}

function isTooLong(number: DerElement | undefined): boolean {
  return derUnsigned(number).length > numberMaxBits / 8;
}
