import type { KeyObject } from "node:crypto";
import { algorithmOfType, keyTypeBits } from "./algorithms.ts";
import { curveNamed } from "./curves.ts";

/** KMIP Cryptographic Algorithm and Cryptographic Length of a key pair's key; what is not known is left out. */
export function keyFacts(key: KeyObject): { readonly algorithm?: number; readonly lengthBits?: number } {
  const algorithm = algorithmOfType(key.asymmetricKeyType);
  const lengthBits = lengthOf(key);
  return { ...(algorithm === undefined ? {} : { algorithm }), ...(lengthBits === undefined ? {} : { lengthBits }) };
}

function lengthOf(key: KeyObject): number | undefined {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  return modulusLength ?? curveNamed(namedCurve)?.bits ?? keyTypeBits[key.asymmetricKeyType ?? ""];
}
