import { type KeyObject, randomFillSync } from "node:crypto";
import {
  cryptographicAlgorithm as algorithm,
  blockCipherMode as mode,
  paddingMethod,
} from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { authenticated } from "./authenticated-cipher.ts";
import type { CipherRequest, CipherStream } from "./cipher-request.ts";
import { blockStream, keystream, unwrapping, wrapping, xts } from "./cipher-streams.ts";
import type { NonceSource } from "./nonces.ts";
import type { CryptographicParameters } from "./parameters.ts";

/** A begun encryption or decryption. */
export interface StartedCipher {
  readonly stream: CipherStream;
  /** The IV, if the server made it. */
  readonly generatedIv?: Buffer;
}

/** Begins. Throws Refusal; whatever is wrong with encrypted data is one and the same refusal. */
export function startCipher(request: CipherRequest): StartedCipher {
  const kind = kindOf(request);
  const generatedIv = request.iv === undefined ? generated(kind, request) : undefined;
  const iv = request.iv ?? generatedIv ?? Buffer.alloc(0);
  if (!kind.ivAllowed(iv.length))
    throw new Refusal("InvalidField", `IV/Counter/Nonce has ${iv.length} bytes: ${kind.ivRule}`);
  const stream = kind.start(request, iv);
  return { stream, ...(generatedIv === undefined ? {} : { generatedIv }) };
}

/** One way of encryption. */
interface Kind {
  readonly ivAllowed: (bytes: number) => boolean;
  readonly ivRule: string;
  /** A new IV; undefined when none is used. */
  readonly makeIv?: (request: CipherRequest) => Buffer;
  readonly start: (request: CipherRequest, iv: Buffer) => CipherStream;
}

function kindOf({ algorithm: kind, parameters }: CipherRequest): Kind {
  switch (kind) {
    case algorithm.aes:
      return found(aesModes[required(parameters)]);
    case algorithm.tripleDes:
      return found(tripleDesModes[required(parameters)]);
    case algorithm.chaCha20:
      return chaCha20;
    case algorithm.chaCha20Poly1305:
      return chaCha20Poly1305;
    default:
      if (kind === 0) throw new Refusal("InvalidField", unknownAlgorithm, "BadCryptographicParameters");
      throw new Refusal("PermissionDenied", `Cryptographic Algorithm ${kind} ${doesNotEncrypt}`);
  }
}

const unknownAlgorithm =
  "The key has no Cryptographic Algorithm: give one that encrypts (AES, ChaCha20, ChaCha20-Poly1305) in Cryptographic Parameters";
const doesNotEncrypt =
  "does not encrypt data: use a key of AES, ChaCha20 or ChaCha20-Poly1305, a public RSA key, or MAC and Sign for this one";

function required({ blockCipherMode }: CryptographicParameters): number {
  if (blockCipherMode === undefined) {
    throw new Refusal(
      "InvalidField",
      "Block Cipher Mode is missing: give Cryptographic Parameters here or with the key",
      "BadCryptographicParameters",
    );
  }
  return blockCipherMode;
}

function found(kind: Kind | undefined): Kind {
  if (kind === undefined) {
    const text = "This Block Cipher Mode is not offered for the key";
    throw new Refusal("FeatureNotSupported", text, "UnsupportedCryptographicParameters");
  }
  return kind;
}

function generated(kind: Kind, request: CipherRequest): Buffer | undefined {
  if (kind.makeIv === undefined) return undefined;
  if (request.direction === "encrypt" && request.parameters.randomIv === true) return kind.makeIv(request);
  // The OASIS test cases CS-BC-M-11 to 13 of 2.1 have Decrypt without it fail by Invalid Message as in 1.x.
  const finer = request.direction === "encrypt" ? "MissingInitializationVector" : undefined;
  throw new Refusal("InvalidMessage", "IV/Counter/Nonce is missing: give it, or encrypt with Random IV", finer);
}

/** OpenSSL's name of the cipher for the key's length. */
function aesName(key: KeyObject, suffix: string, shares = 1): string {
  const bits = ((key.symmetricKeySize ?? 0) * 8) / shares;
  if (![128, 192, 256].includes(bits) || (shares === 2 && bits === 192)) {
    throw new Refusal("InvalidField", `An AES key of ${bits * shares} bits does not fit this Block Cipher Mode`);
  }
  return `aes-${bits}-${suffix}`;
}

/** Three keys, or two of which the first is used twice. */
function tripleDesName(key: KeyObject, suffix: string): string {
  if (key.symmetricKeySize === 24) return `des-ede3-${suffix}`;
  if (key.symmetricKeySize === 16) return `des-ede-${suffix}`;
  throw new Refusal("InvalidField", "A 3DES key has 16 or 24 bytes");
}

const noIv = { ivAllowed: (bytes: number) => bytes === 0, ivRule: "this mode takes none" };
const oneBlock = (bytes: number) => ({
  ivAllowed: (length: number) => length === bytes,
  ivRule: `${bytes} are needed`,
  makeIv: () => randomFillSync(Buffer.alloc(bytes)),
});

const padding = ({ parameters }: CipherRequest) => parameters.paddingMethod ?? paddingMethod.none;

const aesModes: Readonly<Record<number, Kind>> = {
  [mode.ecb]: {
    ...noIv,
    start: (r) => blockStream({ ...r, name: aesName(r.key, "ecb"), iv: null, blockBytes: 16, padding: padding(r) }),
  },
  [mode.cbc]: {
    ...oneBlock(16),
    start: (r, iv) => blockStream({ ...r, name: aesName(r.key, "cbc"), iv, blockBytes: 16, padding: padding(r) }),
  },
  [mode.cfb]: { ...oneBlock(16), start: (r, iv) => keystream(r, aesName(r.key, "cfb"), iv) },
  [mode.ofb]: { ...oneBlock(16), start: (r, iv) => keystream(r, aesName(r.key, "ofb"), iv) },
  [mode.ctr]: {
    ...oneBlock(16),
    makeIv: ({ nonces, parameters }) => counterBlock(nonces, parameters.initialCounterValue ?? 0),
    start: (r, iv) => keystream(r, aesName(r.key, "ctr"), iv, r.iv === undefined ? bytesOfCounter(iv) : undefined),
  },
  [mode.gcm]: {
    ivAllowed: (bytes) => bytes >= 1 && bytes <= 128,
    ivRule: "1 to 128 are taken, 12 are usual",
    makeIv: nonce,
    start: (r, iv) => authenticated(r, { name: aesName(r.key, "gcm"), iv, tagBytes: [12, 13, 14, 15, 16] }),
  },
  [mode.ccm]: {
    ivAllowed: (bytes) => bytes >= 7 && bytes <= 13,
    ivRule: "7 to 13 are taken",
    makeIv: nonce,
    start: (r, iv) => authenticated(r, { name: aesName(r.key, "ccm"), iv, tagBytes: [8, 10, 12, 14, 16], whole: true }),
  },
  [mode.xts]: { ...oneBlock(16), start: (r, iv) => xts(r, aesName(r.key, "xts", 2), iv) },
  [mode.nistKeyWrap]: {
    ...noIv,
    start: (r) => (r.direction === "encrypt" ? wrapping(r.key, "plain") : unwrapping(r.key, "plain")),
  },
  [mode.aesKeyWrapPadding]: {
    ...noIv,
    start: (r) => (r.direction === "encrypt" ? wrapping(r.key, "padded") : unwrapping(r.key, "padded")),
  },
};

const tripleDesModes: Readonly<Record<number, Kind>> = {
  [mode.ecb]: {
    ...noIv,
    start: (r) =>
      blockStream({ ...r, name: tripleDesName(r.key, "ecb"), iv: null, blockBytes: 8, padding: padding(r) }),
  },
  [mode.cbc]: {
    ...oneBlock(8),
    start: (r, iv) => blockStream({ ...r, name: tripleDesName(r.key, "cbc"), iv, blockBytes: 8, padding: padding(r) }),
  },
  [mode.cfb]: { ...oneBlock(8), start: (r, iv) => keystream(r, tripleDesName(r.key, "cfb"), iv) },
  [mode.ofb]: { ...oneBlock(8), start: (r, iv) => keystream(r, tripleDesName(r.key, "ofb"), iv) },
};

/** RFC 8439 has 12 bytes of nonce and 4 of counter, the first ChaCha 8 and 8; the counter begins as asked, else with 0. */
const chaCha20: Kind = {
  ivAllowed: (bytes) => bytes === 8 || bytes === 12,
  ivRule: "8 or 12 are taken",
  makeIv: ({ nonces }) => nonces.next(12),
  start: (r, nonceBytes) => {
    const iv = Buffer.alloc(16);
    iv.writeUInt32LE((r.parameters.initialCounterValue ?? 0) >>> 0, 0);
    iv.set(nonceBytes, 16 - nonceBytes.length);
    return keystream(r, chaChaName(r.key, "chacha20"), iv);
  },
};

const chaCha20Poly1305: Kind = {
  ivAllowed: (bytes) => bytes === 12,
  ivRule: "12 are needed",
  makeIv: ({ nonces }) => nonces.next(12),
  start: (r, iv) =>
    authenticated(r, { name: chaChaName(r.key, "chacha20-poly1305"), iv, tagBytes: [12, 13, 14, 15, 16] }),
};

function chaChaName(key: KeyObject, name: string): string {
  if (key.symmetricKeySize !== 32) throw new Refusal("InvalidField", "A ChaCha20 key has 256 bits");
  return name;
}

/** A nonce of the IV Length asked for (in bits). Shorter ones cannot be kept from repeating. */
function nonce({ nonces, parameters }: CipherRequest): Buffer {
  const bits = parameters.ivLength ?? 96;
  if (bits % 8 !== 0 || bits < 96 || bits > 1024) {
    const text = "IV Length of a Random IV is a multiple of 8 from 96 bits on";
    throw new Refusal("InvalidField", text, "BadCryptographicParameters");
  }
  return nonces.next(bits / 8);
}

/** What a counter block of ours is good for: beyond it the counter runs into the nonce, and makes it the next one. */
function bytesOfCounter(block: Buffer): number {
  return 16 * (2 ** 32 - block.readUInt32BE(12));
}

/** 12 bytes that never repeat, then the block counter (RFC 3686). */
function counterBlock(nonces: NonceSource, initial: number): Buffer {
  const block = Buffer.alloc(16);
  block.set(nonces.next(12));
  block.writeUInt32BE(initial >>> 0, 12);
  return block;
}
