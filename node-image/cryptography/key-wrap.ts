import { createCipheriv, createDecipheriv, type KeyObject } from "node:crypto";
import { Refusal } from "../objects/refusal.ts";
import { decrypting, notDecrypted } from "./cipher-failure.ts";

/** RFC 3394 (keys of whole 64-bit blocks) or RFC 5649 (any length). */
export type WrapKind = "plain" | "padded";

const ivs: Readonly<Record<WrapKind, Buffer>> = {
  plain: Buffer.from("a6a6a6a6a6a6a6a6", "hex"),
  padded: Buffer.from("a65959a6", "hex"),
};

/** Wraps key bytes under an AES key. Throws Refusal. */
export function wrap(key: KeyObject, bytes: Buffer, kind: WrapKind): Buffer {
  if (kind === "plain" && (bytes.length < 16 || bytes.length % 8 !== 0)) {
    throw new Refusal(
      "InvalidField",
      "NIST Key Wrap takes 16 bytes or more in multiples of 8: use AES Key Wrap Padding",
    );
  }
  if (bytes.length === 0) throw new Refusal("InvalidField", "There is nothing to wrap");
  return createCipheriv(nameOf(key, kind), key, ivs[kind]).update(bytes);
}

/** Opens wrapped key bytes; the caller zeroes them. Throws Refusal. */
export function unwrap(key: KeyObject, wrapped: Buffer, kind: WrapKind): Buffer {
  const name = nameOf(key, kind);
  return decrypting(() => {
    if (wrapped.length < (kind === "plain" ? 24 : 16) || wrapped.length % 8 !== 0) throw notDecrypted();
    return createDecipheriv(name, key, ivs[kind]).update(wrapped);
  });
}

function nameOf(key: KeyObject, kind: WrapKind): string {
  const bits = (key.symmetricKeySize ?? 0) * 8;
  if (key.type !== "secret" || ![128, 192, 256].includes(bits)) {
    throw new Refusal("InvalidField", "Key wrap needs an AES key of 128, 192 or 256 bits");
  }
  return `aes${bits}-wrap${kind === "padded" ? "-pad" : ""}`;
}
