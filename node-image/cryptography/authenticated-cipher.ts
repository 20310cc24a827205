import { type CipherGCM, createCipheriv, createDecipheriv, type DecipherGCM } from "node:crypto";
import { Refusal } from "../objects/refusal.ts";
import { ownCopy } from "./bytes.ts";
import { decrypting, notDecrypted } from "./cipher-failure.ts";
import type { CipherRequest, CipherStream } from "./cipher-request.ts";
import { gather } from "./gather.ts";

/** An authenticated cipher by OpenSSL's name. */
interface Suite {
  readonly name: string;
  readonly iv: Buffer;
  /** Tag lengths that are taken. Those below 12 bytes invite forgery (SP 800-38D, appendix C). */
  readonly tagBytes: readonly number[];
  /** The most bytes of a cipher that must know all data first (CCM). */
  readonly wholeMaxBytes?: number;
}

/** Encryption in parts; decryption keeps all parts until the tag is found right: nothing unauthenticated is handed out. */
export function authenticated(request: CipherRequest, suite: Suite): CipherStream {
  return request.direction === "encrypt" ? encryption(request, suite) : decryption(request, suite);
}

function encryption(request: CipherRequest, suite: Suite): CipherStream {
  const tagBytes = request.parameters.tagLength ?? 16;
  if (!suite.tagBytes.includes(tagBytes)) throw wrongTagLength(suite);
  const run = (data?: Buffer) =>
    begin(
      createCipheriv(suite.name as "aes-128-gcm", request.key, suite.iv, { authTagLength: tagBytes }),
      request,
      data,
    );
  if (suite.wholeMaxBytes !== undefined) return wholeEncryption(run, suite.wholeMaxBytes);
  const cipher = run();
  return {
    update: (data) => cipher.update(data),
    final: () => ({ data: cipher.final(), tag: ownCopy(cipher.getAuthTag().subarray(0, tagBytes)) }),
  };
}

function wholeEncryption(run: (data: Buffer) => CipherGCM, mostBytes: number): CipherStream {
  const parts = gather();
  return {
    gathered: parts,
    update: (data) => {
      parts.add(data);
      return Buffer.alloc(0);
    },
    final: () => {
      const plaintext = parts.take();
      try {
        if (plaintext.length > mostBytes)
          throw new Refusal(
            "InvalidField",
            `Beside this nonce there is room for ${mostBytes} bytes: take a shorter one`,
          );
        const cipher = run(plaintext);
        const data = cipher.update(plaintext);
        cipher.final();
        return { data, tag: ownCopy(cipher.getAuthTag()) };
      } finally {
        plaintext.fill(0);
      }
    },
  };
}

function decryption(request: CipherRequest, suite: Suite): CipherStream {
  const { tag, parameters } = request;
  if (tag === undefined) {
    throw new Refusal("InvalidMessage", "Authenticated Encryption Tag is missing: it is needed with the first part");
  }
  if (!suite.tagBytes.includes(tag.length) || (parameters.tagLength ?? tag.length) !== tag.length) throw notDecrypted();
  const kept = ownCopy(tag);
  const parts = gather();
  return {
    gathered: parts,
    update: (data) => {
      parts.add(data);
      return Buffer.alloc(0);
    },
    final: () =>
      decrypting(() => {
        const data = parts.take();
        const options = { authTagLength: kept.length };
        const decipher = createDecipheriv(suite.name as "aes-128-gcm", request.key, suite.iv, options).setAuthTag(kept);
        const plaintext = begin(decipher, request, data).update(data);
        try {
          decipher.final();
        } catch (error) {
          plaintext.fill(0);
          throw error;
        }
        return { data: plaintext };
      }),
  };
}

function begin<Cipher extends CipherGCM | DecipherGCM>(cipher: Cipher, request: CipherRequest, data?: Buffer): Cipher {
  const { additionalData } = request;
  if (additionalData === undefined) return cipher;
  cipher.setAAD(additionalData, data === undefined ? undefined : { plaintextLength: data.length });
  return cipher;
}

function wrongTagLength({ tagBytes }: Suite): Refusal {
  return new Refusal("GeneralFailure", `Tag Length must be one of ${tagBytes.join(", ")} bytes`);
}
