import type { CryptographicParameters } from "../cryptography/parameters.ts";
import {
  isSlow,
  type SignStream,
  signData,
  signDigested,
  startSign,
  startVerify,
  type VerifyStream,
  verifyData,
  verifyDigested,
} from "../cryptography/signature.ts";
import { usage, validityIndicator } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Context } from "./context.ts";
import { type PartRequest, resume } from "./streams.ts";
import { consume, consumePart, consumption } from "./usage-limits.ts";
import { keyFor } from "./use-key.ts";

/** KMIP Sign (4.31). */
export interface SignRequest extends PartRequest {
  readonly uniqueIdentifier: string;
  readonly cryptographicParameters?: CryptographicParameters;
  readonly data?: Buffer;
  readonly digestedData?: Buffer;
}

/** The signature with the last part. */
export interface SignResponse {
  readonly uniqueIdentifier: string;
  readonly signatureData?: Buffer;
  readonly correlationValue?: Buffer;
}

/** KMIP Signature Verify (4.32). */
export interface SignatureVerifyRequest extends SignRequest {
  readonly signatureData?: Buffer;
}

/** The verdict with the last part. */
export interface VerifyResponse {
  readonly uniqueIdentifier: string;
  /** Valid, Invalid or, before the last part, Unknown (9.1.3.2.23). */
  readonly validityIndicator: number;
  readonly correlationValue?: Buffer;
}

/** Signs data, whole or in parts, or a digest. */
export async function sign(request: SignRequest, context: Context): Promise<SignResponse> {
  const use = { usage: usage.sign, purpose: "protect" } as const;
  const { object, key, parameters } = await keyFor(
    request.uniqueIdentifier,
    use,
    request.cryptographicParameters,
    context,
  );
  const { id: uniqueIdentifier } = object;
  const counted = async (signatureData: Buffer) => {
    await consume(object, consumption(request), context);
    return { uniqueIdentifier, signatureData };
  };
  if (isDigested(request)) return counted(signDigested(key, request.digestedData, parameters));
  const { generation } = context.cryptography;
  const inTurn = async (work: () => Buffer | Promise<Buffer>) =>
    isSlow(key) ? generation(context.caller.identity, async () => work()) : work();
  if (isWhole(request)) return counted(await inTurn(() => signData(key, request.data, parameters)));
  const parts = resume<SignStream>(request, uniqueIdentifier, context, () => startSign(key, parameters));
  feed(request, parts.state);
  if (parts.last) return counted(await inTurn(() => parts.state.final()));
  await consumePart(request, { state: parts.state, object, context });
  return { uniqueIdentifier, correlationValue: parts.keep() };
}

/** Verifies a signature of data, whole or in parts, or of a digest. A wrong signature is no error. */
export async function signatureVerify(request: SignatureVerifyRequest, context: Context): Promise<VerifyResponse> {
  const use = { usage: usage.verify, purpose: "process" } as const;
  const { object, key, parameters } = await keyFor(
    request.uniqueIdentifier,
    use,
    request.cryptographicParameters,
    context,
  );
  const { id: uniqueIdentifier } = object;
  const { signatureData: signature } = request;
  if (isDigested(request)) {
    if (signature === undefined) throw missingSignature();
    const valid = verifyDigested(key, { digest: request.digestedData, signature }, parameters);
    return { uniqueIdentifier, validityIndicator: indicator(valid) };
  }
  if (isWhole(request)) {
    if (signature === undefined) throw missingSignature();
    const valid = verifyData(key, { data: request.data, signature }, parameters);
    return { uniqueIdentifier, validityIndicator: indicator(valid) };
  }
  const parts = resume<VerifyStream>(request, uniqueIdentifier, context, () => startVerify(key, parameters));
  feed(request, parts.state);
  if (!parts.last) {
    return { uniqueIdentifier, validityIndicator: validityIndicator.unknown, correlationValue: parts.keep() };
  }
  if (signature === undefined) throw missingSignature();
  return { uniqueIdentifier, validityIndicator: indicator(parts.state.final(signature)) };
}

function isDigested(request: SignRequest): request is SignRequest & { digestedData: Buffer } {
  const { digestedData, data, correlationValue, initIndicator } = request;
  if (digestedData === undefined) return false;
  if (data !== undefined || correlationValue !== undefined || initIndicator === true) {
    throw new Refusal("InvalidField", "Digested Data stands alone: give it without Data, and not in parts");
  }
  return true;
}

/** Whether the request brings all data at once, as nearly all do. */
function isWhole(request: SignRequest): request is SignRequest & { data: Buffer } {
  return request.data !== undefined && request.correlationValue === undefined && request.initIndicator !== true;
}

function feed(request: SignRequest, stream: { update(data: Buffer): void }): void {
  const { data, correlationValue, initIndicator } = request;
  if (data !== undefined) stream.update(data);
  else if (correlationValue === undefined && initIndicator !== true)
    throw new Refusal("InvalidMessage", "Data is missing");
}

function indicator(valid: boolean): number {
  return valid ? validityIndicator.valid : validityIndicator.invalid;
}

function missingSignature(): Refusal {
  return new Refusal("InvalidMessage", "Signature Data is missing");
}
