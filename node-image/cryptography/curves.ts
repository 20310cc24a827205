import type { KeyObject } from "node:crypto";
import { Refusal } from "../objects/refusal.ts";
import { derChildren, derObjectIdentifier, derTag, expectTag, readDer } from "./der.ts";

/** An elliptic curve. */
export interface Curve {
  /** KMIP Recommended Curve (1.4, 9.1.3.2.5; 2.1, 11.45). */
  readonly recommended: number;
  /** OpenSSL's name; for the curves of Bernstein that of the key type. */
  readonly name: string;
  readonly bits: number;
  readonly oid: string;
  /** Whether its points are (x, y) in Weierstrass form; else keys are plain byte strings (RFC 7748, RFC 8032). */
  readonly weierstrass: boolean;
}

const weierstrass = true;

/** Curves that keys may be made on. P-192 and the like are too weak to be made (SP 800-186). */
export const curves: readonly Curve[] = [
  { recommended: 0x04, name: "secp224r1", bits: 224, oid: "1.3.132.0.33", weierstrass },
  { recommended: 0x07, name: "prime256v1", bits: 256, oid: "1.2.840.10045.3.1.7", weierstrass },
  { recommended: 0x0a, name: "secp384r1", bits: 384, oid: "1.3.132.0.34", weierstrass },
  { recommended: 0x0d, name: "secp521r1", bits: 521, oid: "1.3.132.0.35", weierstrass },
  { recommended: 0x19, name: "secp256k1", bits: 256, oid: "1.3.132.0.10", weierstrass },
  { recommended: 0x3d, name: "brainpoolP256r1", bits: 256, oid: "1.3.36.3.3.2.8.1.1.7", weierstrass },
  { recommended: 0x41, name: "brainpoolP384r1", bits: 384, oid: "1.3.36.3.3.2.8.1.1.11", weierstrass },
  { recommended: 0x43, name: "brainpoolP512r1", bits: 512, oid: "1.3.36.3.3.2.8.1.1.13", weierstrass },
  { recommended: 0x45, name: "x25519", bits: 256, oid: "1.3.101.110", weierstrass: false },
  { recommended: 0x46, name: "x448", bits: 448, oid: "1.3.101.111", weierstrass: false },
];

/** The curve by KMIP Recommended Curve. Throws Refusal. */
export function recommendedCurve(value: number): Curve {
  const curve = curves.find(({ recommended }) => recommended === value);
  if (curve === undefined) {
    throw new Refusal("FeatureNotSupported", "This Recommended Curve is not offered: use P-256, P-384 or P-521");
  }
  return curve;
}

/** The usual curve of a length in bits, where none is named: those of NIST. Throws Refusal. */
export function curveOfLength(bits: number): Curve {
  const curve = curves.find((each) => each.bits === bits);
  if (curve === undefined) {
    throw new Refusal("InvalidField", `No curve has ${bits} bits: give 224, 256, 384, 521 or a Recommended Curve`);
  }
  return curve;
}

/** The curve by OpenSSL's name; undefined for others. */
export function curveNamed(name: string | undefined): Curve | undefined {
  return curves.find((curve) => curve.name === name);
}

/** Whether a public EC key is on one of these curves, and tells its name: others know no curves told by their numbers (RFC 5480, 2.1.1). */
export function isOnNamedCurve(key: KeyObject): boolean {
  const curve = curveNamed(key.asymmetricKeyDetails?.namedCurve);
  const [algorithm] = derChildren(readDer(key.export({ format: "der", type: "spki" })));
  const [, told] = derChildren(expectTag(algorithm, derTag.sequence));
  return curve !== undefined && told?.bytes.equals(derObjectIdentifier(curve.oid)) === true;
}
