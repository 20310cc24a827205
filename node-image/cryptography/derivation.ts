import { createHash, createHmac, diffieHellman, hkdf, type KeyObject, pbkdf2 } from "node:crypto";
import { promisify } from "node:util";
import { cryptographicAlgorithm as algorithm } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { joinAndClear, ownCopy, uint32 } from "./bytes.ts";
import { type DigestStream, digestBytes, hashName } from "./hash.ts";
import { hmacHash, startMac } from "./mac.ts";
import type { CryptographicParameters } from "./parameters.ts";

/** KMIP Derivation Method (1.4, 9.1.3.2.21; 2.1, 11.18). */
export const derivationMethod = {
  pbkdf2: 1,
  hash: 2,
  hmac: 3,
  encrypt: 4,
  counter: 5,
  feedback: 6,
  doublePipeline: 7,
  asymmetricKey: 8,
  hkdf: 10,
} as const;

/** What bytes are derived from. */
export interface Derivation {
  /** KMIP Cryptographic Algorithm of the key. */
  readonly algorithm: number;
  readonly key: KeyObject;
  readonly parameters: CryptographicParameters;
  /** Data to be hashed, the label and context, or HKDF's info. */
  readonly data: Buffer;
  readonly iv: Buffer;
  readonly salt: Buffer;
  readonly iterations: number;
  /** Bytes wanted. */
  readonly length: number;
}

/** The work that one request may ask of PBKDF2: iterations times blocks of output. */
export const pbkdf2MaxWork = 10_000_000;
/** Bytes that one request may have SP 800-108 look at: the data once for each block of output, while everybody waits. */
export const prfMaxBytes = 67_108_864;
/** The most bytes that are derived at once. */
export const derivedMaxBytes = 65_536;

/** PBKDF2 (RFC 8018, 5.2) with HMAC, SHA-1 unless a hash is named; in a thread of the pool. Rejects with Refusal. */
export async function pbkdf2Bytes(request: Derivation): Promise<Buffer> {
  const { key, salt, iterations, length } = request;
  const hash = pbkdf2Hash(request);
  if (iterations < 1) throw new Refusal("InvalidField", "Iteration Count must be 1 or more");
  if (pbkdf2Work(request) > pbkdf2MaxWork) {
    throw new Refusal("InvalidField", `Iteration Count times length goes beyond ${pbkdf2MaxWork} rounds`);
  }
  return withSecret(key, (password) => promisify(pbkdf2)(password, salt, iterations, length, hash));
}

/** Rounds of HMAC that it takes: iterations times blocks. Throws Refusal. */
export function pbkdf2Work(request: Derivation): number {
  return request.iterations * Math.ceil(request.length / digestBytes(pbkdf2Hash(request)));
}

function pbkdf2Hash({ parameters }: Derivation): string {
  return namedHash(parameters) ?? "sha1";
}

/** OpenSSL's hash that the parameters name, by itself or as that of an HMAC. Throws Refusal if they name two. */
function namedHash(parameters: CryptographicParameters): string | undefined {
  const { hashingAlgorithm, cryptographicAlgorithm = 0 } = parameters;
  const ofHmac = hmacHash(cryptographicAlgorithm, parameters);
  return ofHmac ?? (hashingAlgorithm === undefined ? undefined : hashName(hashingAlgorithm));
}

/** More of it is not taken by node:crypto. */
const hkdfInfoMaxBytes = 1_024;

/** HKDF (RFC 5869); the derivation data is its info. */
export async function hkdfBytes({ key, data, salt, length, parameters }: Derivation): Promise<Buffer> {
  const hash = namedHash(parameters) ?? "sha256";
  mustBeSecret(key);
  if (data.length > hkdfInfoMaxBytes)
    throw new Refusal("InvalidField", `HKDF takes at most ${hkdfInfoMaxBytes} bytes of Derivation Data`);
  atMost(length, 255 * digestBytes(hash));
  return Buffer.from(await promisify(hkdf)(hash, key, salt, data, length));
}

/** The digest of the key or of the data, whichever is given. */
export function hashBytes({ key, data, parameters, length }: Derivation): Buffer {
  if (parameters.hashingAlgorithm === undefined) throw new Refusal("InvalidField", "Hashing Algorithm is missing");
  const hash = createHash(hashName(parameters.hashingAlgorithm));
  if (data.length > 0) return first(hash.update(data).digest(), length);
  return first(
    withSecret(key, (bytes) => hash.update(bytes).digest()),
    length,
  );
}

/** HMAC of the data under the key: by the key's own hash if it is an HMAC key, else by the parameters'. */
export function hmacBytes({ algorithm: kind, key, data, parameters, length }: Derivation): Buffer {
  mustBeSecret(key);
  const [own, asked] = [hmacHash(kind, parameters), namedHash(parameters)];
  const named = own ?? asked;
  if (asked !== undefined && asked !== named)
    throw new Refusal("InvalidField", "The key is one of an HMAC with another hash: leave the hash out");
  if (named === undefined) throw new Refusal("InvalidField", "The key is no HMAC key: name a Hashing Algorithm");
  return first(createHmac(named, key).update(data).digest(), length);
}

/**
 * The key derivations of SP 800-108, each with a counter of 32 bits before the fixed data, which is the derivation data as it
 * is: Label, zero byte and Context are the client's (4.6).
 */
export function sp800108Bytes(mode: "counter" | "feedback" | "doublePipeline", request: Derivation): Buffer {
  const { data, length } = request;
  mustBeSecret(request.key);
  const blockBytes = prf(request, []).length;
  if (Math.ceil(length / blockBytes) * data.length > prfMaxBytes)
    throw new Refusal("InvalidField", `Derivation Data times length goes beyond ${prfMaxBytes} bytes`);
  const blocks: Buffer[] = [];
  const pipeline: Buffer[] = [];
  let size = 0;
  let chained: Buffer = mode === "feedback" ? request.iv : data;
  for (let counter = 1; size < length; counter++) {
    if (mode === "doublePipeline") {
      chained = prf(request, [chained]);
      pipeline.push(chained);
    }
    const before = mode === "counter" ? [] : [chained];
    const block = prf(request, [...before, uint32(counter), data]);
    if (mode === "feedback") chained = block;
    blocks.push(block);
    size += block.length;
  }
  for (const each of pipeline) each.fill(0);
  return first(joinAndClear(blocks), length);
}

/** HMAC or CMAC, by the key's algorithm and the parameters. */
function prf({ algorithm: kind, key, parameters }: Derivation, parts: readonly Buffer[]): Buffer {
  const hash =
    kind === algorithm.tripleDes || hmacHash(kind, parameters) !== undefined ? undefined : namedHash(parameters);
  const stream: DigestStream =
    hash === undefined ? startMac({ algorithm: kind, key, parameters }) : hmacStream(hash, key);
  for (const part of parts) stream.update(part);
  return stream.final();
}

function hmacStream(hash: string, key: KeyObject): DigestStream {
  const code = createHmac(hash, key);
  return { update: (data) => void code.update(data), final: () => code.digest() };
}

/** The secret that two key pairs have in common (SP 800-56A, 5.7), as it is: derive keys from it in a second step. */
export function agreedBytes(privateKey: KeyObject, publicKey: KeyObject, length: number): Buffer {
  if (privateKey.type !== "private" || publicKey.type !== "public") {
    throw new Refusal("InvalidField", "Key agreement needs a Private Key and another's Public Key, in this order");
  }
  try {
    return first(diffieHellman({ privateKey, publicKey }), length);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(
      "CryptographicFailure",
      "These two keys do not agree on a secret: are they of one curve or group?",
    );
  }
}

/** The leftmost bytes; the others are zeroed. */
export function first(bytes: Buffer, length: number): Buffer {
  atMost(length, bytes.length);
  const result = ownCopy(bytes.subarray(0, length));
  bytes.fill(0);
  return result;
}

function atMost(length: number, most: number): void {
  if (length > most) {
    throw new Refusal(
      "CryptographicFailure",
      `The derivation gives ${most} bytes, fewer than Cryptographic Length asks for`,
    );
  }
}

/** Lends the bytes of a secret key; they are zeroed when the work is done. */
function withSecret<Result>(key: KeyObject, work: (bytes: Buffer) => Result): Result {
  mustBeSecret(key);
  const bytes = key.export();
  const clear = () => bytes.fill(0);
  const result = work(bytes);
  if (result instanceof Promise) return result.finally(clear) as Result;
  clear();
  return result;
}

function mustBeSecret({ type }: KeyObject): void {
  if (type !== "secret") throw new Refusal("InvalidField", "This derivation needs a secret key or Secret Data");
}
