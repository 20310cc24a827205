import { randomFillSync } from "node:crypto";
import { cryptographicAlgorithm as algorithm, blockCipherMode } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";

/** Lengths in bits of the keys of an algorithm. */
interface LengthRule {
  readonly allowed: (bits: number) => boolean;
  readonly say: string;
  /** Bytes of a key, where that is not an eighth of its bits. */
  readonly bytes?: (bits: number) => number;
  /** Whether the fleet's owner must allow the algorithm. */
  readonly legacy?: boolean;
}

const aes: LengthRule = {
  allowed: (bits) => [128, 192, 256].includes(bits),
  say: "AES keys have 128, 192 or 256 bits",
};
const xts: LengthRule = {
  allowed: (bits) => [128, 192, 256, 512].includes(bits),
  say: "AES keys for XTS have 256 or 512 bits",
};
const chaCha: LengthRule = { allowed: (bits) => bits === 256, say: "ChaCha20 keys have 256 bits" };
const hmac: LengthRule = {
  allowed: (bits) => bits >= 112 && bits <= 4096 && bits % 8 === 0,
  say: "HMAC keys have 112 to 4096 bits, a multiple of 8",
};
/** With or without the parity bits that each byte has. */
const tripleDes: LengthRule = {
  allowed: (bits) => [112, 128, 168, 192].includes(bits),
  say: "3DES keys have 112 or 168 bits",
  bytes: (bits) => (bits <= 128 ? 16 : 24),
  legacy: true,
};
const skipjack: LengthRule = { allowed: (bits) => bits === 80, say: "SKIPJACK keys have 80 bits", legacy: true };

const idea: LengthRule = { allowed: (bits) => bits === 128, say: "IDEA keys have 128 bits", legacy: true };

const rules: ReadonlyMap<number, LengthRule> = new Map<number, LengthRule>([
  [algorithm.aes, aes],
  [algorithm.chaCha20, chaCha],
  [algorithm.chaCha20Poly1305, chaCha],
  [algorithm.tripleDes, tripleDes],
  [0x18, skipjack],
  [0x13, idea],
  ...[
    algorithm.hmacSha1,
    algorithm.hmacSha224,
    algorithm.hmacSha256,
    algorithm.hmacSha384,
    algorithm.hmacSha512,
    algorithm.hmacMd5,
    algorithm.hmacSha3_224,
    algorithm.hmacSha3_256,
    algorithm.hmacSha3_384,
    algorithm.hmacSha3_512,
  ].map((each) => [each, hmac] as const),
]);

/** A kind of symmetric key. */
export interface SymmetricKind {
  /** KMIP Cryptographic Algorithm. */
  readonly algorithm: number;
  readonly bits: number;
  /** KMIP Block Cipher Mode that it is meant for. */
  readonly mode?: number;
}

/** Bytes that a key of this kind has. Throws Refusal if the server does not make such keys. */
export function symmetricKeyBytes({ algorithm: kind, bits, mode }: SymmetricKind, legacyCiphers: boolean): number {
  const rule = kind === algorithm.aes && mode === blockCipherMode.xts ? xts : rules.get(kind);
  if (rule === undefined || (rule.legacy === true && !legacyCiphers)) {
    const advice = "ask for AES, ChaCha20 or an HMAC key";
    throw new Refusal("InvalidField", `This Cryptographic Algorithm is not made here: ${advice}`);
  }
  if (!rule.allowed(bits)) throw new Refusal("InvalidField", `Cryptographic Length ${bits}: ${rule.say}`);
  return rule.bytes?.(bits) ?? bits / 8;
}

/** Fresh key bytes; 3DES keys with odd parity in each byte, as old clients check it. */
export function makeSymmetricKey(kind: SymmetricKind, legacyCiphers: boolean): Buffer {
  const bytes = randomFillSync(Buffer.alloc(symmetricKeyBytes(kind, legacyCiphers)));
  return kind.algorithm === algorithm.tripleDes ? withOddParity(bytes) : bytes;
}

/** Sets the lowest bit of each byte so that the number of ones is odd, in place. */
export function withOddParity(bytes: Buffer): Buffer {
  for (const [at, byte] of bytes.entries()) {
    let parity = byte & 0xfe;
    parity ^= parity >> 4;
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    bytes[at] = (byte & 0xfe) | (~parity & 1);
  }
  return bytes;
}
