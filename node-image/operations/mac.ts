import { type DigestStream, hashStream, sameBytes } from "../cryptography/hash.ts";
import { startMac } from "../cryptography/mac.ts";
import type { CryptographicParameters } from "../cryptography/parameters.ts";
import { usage, validityIndicator } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { checkPolicy, type KeyUse } from "./checked-key.ts";
import type { Context } from "./context.ts";
import type { VerifyResponse } from "./sign.ts";
import { type PartRequest, resume } from "./streams.ts";
import { consumePart } from "./usage-limits.ts";
import { keyFor } from "./use-key.ts";

/** KMIP MAC (4.33). */
export interface MacRequest extends PartRequest {
  readonly uniqueIdentifier: string;
  readonly cryptographicParameters?: CryptographicParameters;
  readonly data?: Buffer;
}

/** The code with the last part. */
export interface MacResponse {
  readonly uniqueIdentifier: string;
  readonly macData?: Buffer;
  readonly correlationValue?: Buffer;
}

/** KMIP MAC Verify (4.34). */
export interface MacVerifyRequest extends MacRequest {
  readonly macData?: Buffer;
}

/** KMIP Hash (4.37). */
export interface HashRequest extends PartRequest {
  readonly cryptographicParameters: CryptographicParameters;
  readonly data?: Buffer;
}

/** The digest with the last part. */
export interface HashResponse {
  readonly data?: Buffer;
  readonly correlationValue?: Buffer;
}

/** Makes a message authentication code, whole or in parts. */
export async function mac(request: MacRequest, context: Context): Promise<MacResponse> {
  const { object, parts } = await begin(request, { usage: usage.macGenerate, purpose: "protect" }, context);
  const { id: uniqueIdentifier } = object;
  await consumePart(request, { state: parts.state, object, context });
  if (!parts.last) return { uniqueIdentifier, correlationValue: parts.keep() };
  return { uniqueIdentifier, macData: parts.state.final() };
}

/** Verifies one, in constant time. A wrong code is no error. */
export async function macVerify(request: MacVerifyRequest, context: Context): Promise<VerifyResponse> {
  const { object, parts } = await begin(request, { usage: usage.macVerify, purpose: "process" }, context);
  const { id: uniqueIdentifier } = object;
  if (!parts.last) {
    return { uniqueIdentifier, validityIndicator: validityIndicator.unknown, correlationValue: parts.keep() };
  }
  if (request.macData === undefined) throw new Refusal("InvalidMessage", "MAC Data is missing");
  const valid = sameBytes(parts.state.final(), request.macData);
  return { uniqueIdentifier, validityIndicator: valid ? validityIndicator.valid : validityIndicator.invalid };
}

/** Makes a digest, whole or in parts. */
export async function hash(request: HashRequest, context: Context): Promise<HashResponse> {
  const { hashingAlgorithm } = request.cryptographicParameters;
  if (hashingAlgorithm === undefined) throw new Refusal("InvalidField", "Hashing Algorithm is missing");
  const parts = resume<DigestStream>(request, `hash ${hashingAlgorithm}`, context, () => hashStream(hashingAlgorithm));
  feed(request, parts.state);
  return parts.last ? { data: parts.state.final() } : { correlationValue: parts.keep() };
}

async function begin(request: MacRequest, use: KeyUse, context: Context) {
  const { object, key, algorithm, parameters } = await keyFor(
    request.uniqueIdentifier,
    use,
    request.cryptographicParameters,
    context,
  );
  if (key.type !== "secret") throw new Refusal("InvalidField", "MAC needs a secret key; with key pairs use Sign");
  checkPolicy(parameters.cryptographicAlgorithm ?? algorithm, context);
  const start = () => startMac({ algorithm, key, parameters });
  const parts = resume<DigestStream>(request, object.id, context, start);
  feed(request, parts.state);
  return { object, parts };
}

function feed(request: PartRequest & { readonly data?: Buffer }, stream: DigestStream): void {
  const { data, correlationValue, initIndicator } = request;
  if (data !== undefined) stream.update(data);
  else if (correlationValue === undefined && initIndicator !== true)
    throw new Refusal("InvalidMessage", "Data is missing");
}
