import { joinAndClear } from "../cryptography/bytes.ts";
import type { StartedCipher } from "../cryptography/cipher.ts";
import { startEncryption } from "../cryptography/encryption.ts";
import type { Gathering } from "../cryptography/gather.ts";
import type { CryptographicParameters } from "../cryptography/parameters.ts";
import { paddingMethod, usage } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { checkPolicy, type UsableKey } from "./checked-key.ts";
import type { Context } from "./context.ts";
import { type PartRequest, resume } from "./streams.ts";
import { consumePart } from "./usage-limits.ts";
import { keyFor } from "./use-key.ts";

/** KMIP Encrypt (4.29). */
export interface EncryptRequest extends PartRequest {
  readonly uniqueIdentifier: string;
  readonly cryptographicParameters?: CryptographicParameters;
  readonly data?: Buffer;
  readonly iv?: Buffer;
  readonly additionalData?: Buffer;
}

/** KMIP Decrypt (4.30). */
export interface DecryptRequest extends EncryptRequest {
  readonly tag?: Buffer;
}

/** What is ready of the data; `iv` only if the server made it, `tag` at the end of an authenticated encryption. */
export interface CipherResponse {
  readonly uniqueIdentifier: string;
  readonly data?: Buffer;
  readonly iv?: Buffer;
  readonly correlationValue?: Buffer;
  readonly tag?: Buffer;
}

/** Encrypts, whole or in parts. */
export async function encrypt(request: EncryptRequest, context: Context): Promise<CipherResponse> {
  const use = { usage: usage.encrypt, purpose: "protect" } as const;
  const key = await keyFor(request.uniqueIdentifier, use, request.cryptographicParameters, context);
  return run(request, { key, direction: "encrypt", context });
}

/** Decrypts, whole or in parts; what is wrong with the data is told by one and the same answer. */
export async function decrypt(request: DecryptRequest, context: Context): Promise<CipherResponse> {
  const use = { usage: usage.decrypt, purpose: "process" } as const;
  const key = await keyFor(request.uniqueIdentifier, use, request.cryptographicParameters, context);
  refuseToSign(key);
  return run(request, { key, direction: "decrypt", context });
}

/** Uses of a private key that make signatures. */
const signing = usage.sign | usage.contentCommitment | usage.certificateSign | usage.crlSign;

/** RSA without padding is one and the same for decrypting and for signing: who may only decrypt would sign whatever he likes. */
function refuseToSign({ object, key, parameters }: UsableKey): void {
  const mask = Number(object.attributes.get("Cryptographic Usage Mask")?.[0] ?? 0);
  if (key.type !== "private" || parameters.paddingMethod !== paddingMethod.none || (mask & signing) === 0) return;
  const text = "A key that signs does not decrypt without padding, by which it would sign: use OAEP";
  throw new Refusal("PermissionDenied", text, "BadCryptographicParameters");
}

type Started = StartedCipher & Gathering;

interface Work {
  readonly key: UsableKey;
  readonly direction: "encrypt" | "decrypt";
  readonly context: Context;
}

async function run(request: DecryptRequest, { key, direction, context }: Work): Promise<CipherResponse> {
  const { id } = key.object;
  // What a later part brings would be authenticated by nothing (4.29, 4.30).
  if (request.correlationValue !== undefined && (request.additionalData !== undefined || request.tag !== undefined))
    throw new Refusal("InvalidField", "Additional Data and Tag come with the first part");
  const begin = () => start(request, { key, direction, context });
  const { state, last, keep } = resume<Started>(request, id, context, begin);
  if (request.data === undefined && last && request.correlationValue === undefined) {
    throw new Refusal("InvalidMessage", "Data is missing");
  }
  const first = request.correlationValue === undefined;
  const iv = first && state.generatedIv !== undefined ? { iv: state.generatedIv } : {};
  const ready = state.stream.update(request.data ?? Buffer.alloc(0));
  const end = last ? ending(state, ready) : undefined;
  if (direction === "encrypt") await consumePart(request, { state, object: key.object, context });
  if (end === undefined) return { uniqueIdentifier: id, ...some(ready), ...iv, correlationValue: keep() };
  const { data, tag } = end;
  return {
    uniqueIdentifier: id,
    ...(first ? { data } : some(data)),
    ...iv,
    ...(tag === undefined ? {} : { tag }),
  };
}

function ending({ stream }: StartedCipher, ready: Buffer): { readonly data: Buffer; readonly tag?: Buffer } {
  try {
    const { data, ...more } = stream.final();
    return { data: joinAndClear([ready, data]), ...more };
  } catch (error) {
    ready.fill(0);
    throw error;
  }
}

/** A part that completes no block has no data to give. */
function some(data: Buffer): { data?: Buffer } {
  return data.length === 0 ? {} : { data };
}

function start(request: DecryptRequest, { key, direction, context }: Work): Started {
  const { iv, additionalData, tag } = request;
  const { nonces } = context.cryptography;
  // A Secret Data or key without an algorithm takes that of the parameters; a key that has one keeps it.
  const algorithm = key.algorithm === 0 ? (key.parameters.cryptographicAlgorithm ?? 0) : key.algorithm;
  checkPolicy(algorithm, context);
  const started = startEncryption({
    direction,
    algorithm,
    key: key.key,
    parameters: key.parameters,
    nonces,
    ...(iv === undefined ? {} : { iv }),
    ...(additionalData === undefined ? {} : { additionalData }),
    ...(tag === undefined ? {} : { tag }),
  });
  const { gathered } = started.stream;
  return gathered === undefined ? started : { ...started, gathered };
}
