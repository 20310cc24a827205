import { HsmError } from "../hsm/hsm-error.ts";

/*
 * A sealed blob tells everything that is needed to open it, and all of that is bound as additional data:
 *   u8 format | u8 mechanism | u8 where the iv came from | u8 n, token serial | u8 n, key check value | u8 n, iv | ciphertext and tag
 */
const format = 1;
export const mechanisms = { aesGcm: 1 } as const;
export const ivSources = { sidecar: 1 } as const;
const ivBytes = 12;
export const tagBytes = 16;

/** A blob taken apart; all views. */
export interface SealedBlob {
  readonly header: Buffer;
  readonly tokenSerial: string;
  readonly checkValue: string;
  readonly iv: Buffer;
  readonly ciphertext: Buffer;
}

/** The part before the ciphertext. */
export function blobHeader(key: { tokenSerial: string; checkValue: string; iv: Buffer }): Buffer {
  const serial = Buffer.from(key.tokenSerial, "utf8").subarray(0, 255);
  const check = Buffer.from(key.checkValue, "hex");
  const parts = [serial, check, key.iv].flatMap((part) => [Buffer.from([part.length]), part]);
  return Buffer.concat([Buffer.from([format, mechanisms.aesGcm, ivSources.sidecar]), ...parts]);
}

/** Throws HsmError "tampered" when these bytes are no blob that this version knows. */
export function parseBlob(blob: Buffer): SealedBlob {
  const known = blob[0] === format && blob[1] === mechanisms.aesGcm && blob[2] === ivSources.sidecar;
  if (!known) throw unknown();
  const serial = part(blob, 3);
  const check = part(blob, serial.end);
  const iv = part(blob, check.end);
  if (iv.bytes.length !== ivBytes || blob.length - iv.end < tagBytes) throw unknown();
  return {
    header: blob.subarray(0, iv.end),
    tokenSerial: serial.bytes.toString("utf8"),
    checkValue: check.bytes.toString("hex"),
    iv: iv.bytes,
    ciphertext: blob.subarray(iv.end),
  };
}

function part(blob: Buffer, at: number): { bytes: Buffer; end: number } {
  const end = at + 1 + (blob[at] ?? blob.length);
  if (end > blob.length) throw unknown();
  return { bytes: blob.subarray(at + 1, end), end };
}

function unknown(): HsmError {
  return new HsmError("tampered", "these bytes are no blob that this sidecar sealed");
}
