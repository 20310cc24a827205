import { Refusal } from "../objects/refusal.ts";

/** How many bytes a parameter has by its type (KMIP Profiles 2.1, 5.18.1): numbers are big-endian, lengths and counts the shorter ones. */
export const size = { byte: 1, count: 4, ulong: 8 } as const;

/** CK_UNAVAILABLE_INFORMATION. */
export const unavailable: bigint = 2n ** 64n - 1n;

/** The input parameters of a call, one number for each size; nothing may be missing or left over. Throws Refusal. */
export function inputNumbers(input: Buffer | undefined, sizes: readonly number[]): bigint[] {
  const wanted = sizes.reduce((sum, each) => sum + each, 0);
  const bytes = input ?? Buffer.alloc(0);
  if (bytes.length !== wanted)
    throw new Refusal(
      "InvalidField",
      `PKCS#11 Input Parameters of this function have ${wanted} bytes, not ${bytes.length}`,
      "PKCS11CodecError",
    );
  let at = 0;
  return sizes.map((each) => {
    at += each;
    return BigInt(`0x${bytes.toString("hex", at - each, at)}`);
  });
}

/** CK_ULONG. */
export function ulong(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(size.ulong);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** An array for which the caller said how much room it has, or that it wants the count only: whether it is there, count, items. */
export function list(items: readonly (number | bigint)[], isWanted: boolean): Buffer {
  const head = Buffer.alloc(size.byte + size.count);
  head.writeUInt8(isWanted ? 1 : 0);
  head.writeUInt32BE(items.length, size.byte);
  return Buffer.concat([head, ...(isWanted ? items.map(ulong) : [])]);
}

/** A string of fixed length, padded with blanks. */
export function padded(text: string, length: number): Buffer {
  return Buffer.from(text.slice(0, length).padEnd(length), "latin1");
}

/** CK_VERSION. */
export function version(major: number, minor: number): Buffer {
  return Buffer.from([major, minor]);
}
