import { generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { cryptographicAlgorithm as algorithm } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { curveAlgorithms, keyTypeBits, keyTypes } from "./algorithms.ts";
import { curveOfLength, recommendedCurve } from "./curves.ts";

/** What a key pair is to be. */
export interface KeyPairRequest {
  /** KMIP Cryptographic Algorithm. */
  readonly algorithm: number;
  readonly lengthBits?: number;
  /** KMIP Recommended Curve. */
  readonly recommendedCurve?: number;
  /** Bits of Q, for DSA. */
  readonly qLength?: number;
}

/** A new key pair. */
export interface NewKeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  readonly lengthBits: number;
}

/** node:crypto knows more types than its declarations. */
const generate = promisify(generateKeyPair) as unknown as (
  type: string,
  options: Readonly<Record<string, unknown>>,
) => Promise<{ publicKey: KeyObject; privateKey: KeyObject }>;

/** Makes a key pair in a thread of the pool: an RSA key takes hundreds of milliseconds. Rejects with Refusal. */
export async function makeKeyPair(request: KeyPairRequest): Promise<NewKeyPair> {
  const { type, options, lengthBits } = planOf(request);
  const { publicKey, privateKey } = await generate(type, options);
  return { publicKey, privateKey, lengthBits };
}

interface Plan {
  readonly type: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly lengthBits: number;
}

function planOf(request: KeyPairRequest): Plan {
  const plain = keyTypes[request.algorithm];
  if (plain !== undefined) return { type: plain, options: {}, lengthBits: plainBits(plain, request) };
  if (request.algorithm === algorithm.rsa) return rsa(request);
  if (request.algorithm === algorithm.dsa) return dsa(request);
  if (request.algorithm === algorithm.dh) return diffieHellman(request);
  if (curveAlgorithms.includes(request.algorithm)) return onCurve(request);
  throw new Refusal(
    "InvalidField",
    "No key pairs are made of this Cryptographic Algorithm: ask for RSA, EC, DH or ML-DSA",
  );
}

function rsa({ lengthBits }: KeyPairRequest): Plan {
  if (lengthBits === undefined) throw missingLength();
  if (![2048, 3072, 4096].includes(lengthBits)) {
    throw new Refusal("InvalidField", `Cryptographic Length ${lengthBits}: RSA keys have 2048, 3072 or 4096 bits`);
  }
  return { type: "rsa", options: { modulusLength: lengthBits, publicExponent: 0x10001 }, lengthBits };
}

function dsa({ lengthBits, qLength }: KeyPairRequest): Plan {
  if (lengthBits !== 2048 && lengthBits !== 3072) {
    throw new Refusal("InvalidField", `Cryptographic Length ${lengthBits}: DSA keys have 2048 or 3072 bits`);
  }
  if (qLength !== undefined && qLength !== 224 && qLength !== 256) {
    throw new Refusal("InvalidField", `Qlength ${qLength}: DSA has 224 or 256 bits`);
  }
  return { type: "dsa", options: { modulusLength: lengthBits, divisorLength: qLength ?? 256 }, lengthBits };
}

/** Groups of RFC 3526, which everybody knows: making new ones takes minutes. */
const groups: Readonly<Record<number, string>> = { 2048: "modp14", 3072: "modp15", 4096: "modp16" };

function diffieHellman({ lengthBits }: KeyPairRequest): Plan {
  if (lengthBits === undefined) throw missingLength();
  const group = groups[lengthBits];
  if (group === undefined)
    throw new Refusal("InvalidField", `Cryptographic Length ${lengthBits}: DH keys have 2048, 3072 or 4096 bits`);
  return { type: "dh", options: { group }, lengthBits };
}

function onCurve({ recommendedCurve: named, lengthBits, algorithm: kind }: KeyPairRequest): Plan {
  if (named === undefined && lengthBits === undefined) throw missingLength();
  const curve = named === undefined ? curveOfLength(lengthBits ?? 0) : recommendedCurve(named);
  if (lengthBits !== undefined && lengthBits !== curve.bits) {
    throw new Refusal("InvalidField", `Cryptographic Length ${lengthBits} is not that of the curve, ${curve.bits}`);
  }
  if (!curve.weierstrass && kind === algorithm.ecdsa) {
    throw new Refusal("InvalidField", "This curve agrees on keys and does not sign: use Ed25519 or Ed448");
  }
  if (!curve.weierstrass) return { type: curve.name, options: {}, lengthBits: curve.bits };
  return { type: "ec", options: { namedCurve: curve.name }, lengthBits: curve.bits };
}

/** SLH-DSA's keys are as long as their name says, four times the security parameter. */
function plainBits(type: string, { lengthBits }: KeyPairRequest): number {
  const bits = keyTypeBits[type] ?? 2 * Number(/\d{3}(?=[sf]$)/.exec(type)?.[0] ?? 0);
  return lengthBits === undefined || lengthBits === bits ? bits : refuseLength(lengthBits, bits);
}

function refuseLength(given: number, bits: number): never {
  throw new Refusal("InvalidField", `Cryptographic Length ${given}: keys of this algorithm have ${bits} bits`);
}

function missingLength(): Refusal {
  return new Refusal("InvalidField", 'Attribute "Cryptographic Length" is missing');
}
