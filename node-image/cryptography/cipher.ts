import { type KeyObject, randomFillSync } from "node:crypto";
import {
  cryptographicAlgorithm as algorithm,
  blockCipherMode as mode,
  paddingMethod,
} from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { authenticated } from "./authenticated-cipher.ts";
import { toNumber } from "./bytes.ts";
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
  checkParameters(request, kind);
  const generatedIv = request.iv === undefined ? generated(kind, request) : undefined;
  const iv = request.iv ?? generatedIv ?? Buffer.alloc(0);
  if (!kind.ivAllowed(iv.length))
    throw new Refusal("InvalidField", `IV/Counter/Nonce has ${iv.length} bytes: ${kind.ivRule}`);
  const stream = kind.start(request, iv);
  return { stream, ...(generatedIv === undefined ? {} : { generatedIv }) };
}

/** One way of encryption. */
interface Kind {
  /** Whether it authenticates data, those besides the encrypted ones too. */
  readonly authenticates?: true;
  readonly ivAllowed: (bytes: number) => boolean;
  readonly ivRule: string;
  /** A new IV; undefined when none is used. */
  readonly makeIv?: (request: CipherRequest) => Buffer;
  readonly start: (request: CipherRequest, iv: Buffer) => CipherStream;
}

/** What would otherwise be passed over without a word, and believed to be done. Throws Refusal. */
function checkParameters(request: CipherRequest, { authenticates }: Kind): void {
  const { algorithm: kind, parameters } = request;
  if ((parameters.cryptographicAlgorithm ?? kind) !== kind)
    throw bad("Cryptographic Algorithm of the parameters does not fit the key");
  if (authenticates !== true) checkUnauthenticated(request);
}

/** Throws Refusal if there is something that only an authenticated encryption looks at. */
export function checkUnauthenticated({ additionalData, tag }: Pick<CipherRequest, "additionalData" | "tag">): void {
  if ((additionalData?.length ?? 0) + (tag?.length ?? 0) === 0) return;
  const text = "Additional Data and Tag are for GCM, CCM and ChaCha20-Poly1305: nothing looks at them here";
  throw new Refusal("InvalidField", text);
}

function bad(text: string): Refusal {
  return new Refusal("InvalidField", text, "BadCryptographicParameters");
}

function kindOf({ algorithm: kind, parameters }: CipherRequest): Kind {
  switch (kind) {
    case algorithm.aes:
      return found(aesModes[required(parameters)]);
    case algorithm.tripleDes:
      return found(tripleDesModes[required(parameters)]);
    case algorithm.chaCha20:
      return found(parameters.blockCipherMode === mode.aead ? undefined : chaCha20);
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
  if (request.direction === "encrypt" && request.parameters.randomIv === true)
    return asAsked(kind.makeIv(request), request.parameters);
  // The OASIS test cases CS-BC-M-11 to 13 of 2.1 have Decrypt without it fail by Invalid Message as in 1.x.
  const finer = request.direction === "encrypt" ? "MissingInitializationVector" : undefined;
  throw new Refusal("InvalidMessage", "IV/Counter/Nonce is missing: give it, or encrypt with Random IV", finer);
}

/** An IV that the server made, if its parts are as the client wants them. */
function asAsked(iv: Buffer, parameters: CryptographicParameters): Buffer {
  const { ivLength, counterLength, fixedFieldLength, invocationFieldLength } = parameters;
  const bits = 8 * iv.length;
  if (ivLength !== undefined && ivLength !== bits) throw bad(`A Random IV has ${bits} bits here: leave IV Length out`);
  if (counterLength !== undefined && counterLength !== 8 * counterBytes)
    throw bad("The counter beside a Random IV has 32 bits: leave Counter Length out");
  if (fixedFieldLength === undefined && invocationFieldLength === undefined) return iv;
  throw bad("The server divides a Random IV as it will: leave Fixed Field Length and Invocation Field Length out");
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
    start: (r, iv) => keystream(r, aesName(r.key, "ctr"), iv, bytesOfCounter(iv, r)),
  },
  [mode.gcm]: {
    authenticates: true,
    ivAllowed: (bytes) => bytes >= 1 && bytes <= 128,
    ivRule: "1 to 128 are taken, 12 are usual",
    makeIv: nonce,
    start: (r, iv) => authenticated(r, { name: aesName(r.key, "gcm"), iv, tagBytes: [12, 13, 14, 15, 16] }),
  },
  [mode.ccm]: {
    authenticates: true,
    ivAllowed: (bytes) => bytes >= 7 && bytes <= 13,
    ivRule: "7 to 13 are taken",
    makeIv: nonce,
    start: (r, iv) =>
      authenticated(r, {
        name: aesName(r.key, "ccm"),
        iv,
        tagBytes: [8, 10, 12, 14, 16],
        wholeMaxBytes: ccmMaxBytes(iv),
      }),
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
    const first = (r.parameters.initialCounterValue ?? 0) >>> 0;
    iv.writeUInt32LE(first, 0);
    iv.set(nonceBytes, 16 - nonceBytes.length);
    // The older counter goes on in the next four bytes; after the newer one the nonce begins.
    const most = nonceBytes.length === 12 ? 64 * (2 ** 32 - first) : undefined;
    return keystream(r, chaChaName(r.key, "chacha20"), iv, most);
  },
};

const chaCha20Poly1305: Kind = {
  authenticates: true,
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
  if (bits % 8 !== 0 || bits < 96 || bits > 1024)
    throw bad("IV Length of a Random IV is a multiple of 8 from 96 bits on");
  return nonces.next(bits / 8);
}

/** The length of a CCM message is written in what the nonce leaves of 15 bytes (SP 800-38C, A.1). */
function ccmMaxBytes(nonceBytes: Buffer): number {
  return 2 ** (8 * (15 - nonceBytes.length)) - 1;
}

/** Bytes of the counter in a counter block of ours. */
const counterBytes = 4;

/**
 * What a counter block is good for: beyond it the counter runs into the nonce, and makes it the next one. A block of the client's
 * own is all counter, which begins anew at its end, unless Counter Length says otherwise (SP 800-38A, B.1). Throws Refusal.
 */
function bytesOfCounter(block: Buffer, { iv, parameters }: CipherRequest): number {
  const bits = parameters.counterLength ?? (iv === undefined ? 8 * counterBytes : 128);
  const first = parameters.initialCounterValue;
  if (bits < 1 || bits > 128) throw bad("Counter Length is 1 to 128 bits");
  if (first !== undefined && first >>> 0 !== block.readUInt32BE(16 - counterBytes))
    throw bad("Initial Counter Value is not the counter at the end of IV/Counter/Nonce: leave it out");
  if (bits === 128) return Number.POSITIVE_INFINITY;
  return 16 * Number((1n << BigInt(bits)) - BigInt.asUintN(bits, toNumber(block)));
}

/** 12 bytes that never repeat, then the block counter (RFC 3686). */
function counterBlock(nonces: NonceSource, initial: number): Buffer {
  const block = Buffer.alloc(16);
  block.set(nonces.next(12));
  block.writeUInt32BE(initial >>> 0, 12);
  return block;
}
