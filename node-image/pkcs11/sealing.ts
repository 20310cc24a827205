import pkcs11js from "pkcs11js";
import { HsmError } from "../hsm/hsm-error.ts";
import { calling, TokenFailure } from "./return-values.ts";
import { blobHeader, parseBlob, tagBytes } from "./sealed-blob.ts";
import type { OpenToken, WrappingKey } from "./wrapping-key.ts";

/** A logged-in session with its wrapping key. */
export interface SealingToken extends OpenToken {
  readonly key: WrappingKey;
}

/** AES-256-GCM inside the token; C_Encrypt, the one form that SoftHSM, Luna and CloudHSM share. */
export function seal(open: SealingToken, plaintext: Buffer, aad: Buffer): Buffer {
  const { library, session, token, key } = open;
  const iv = calling(() => library.C_GenerateRandom(session, Buffer.alloc(12)));
  const header = blobHeader({ tokenSerial: token.serial, checkValue: key.checkValue, iv });
  return calling(() => {
    library.C_EncryptInit(session, gcm(iv, Buffer.concat([header, aad])), key.handle);
    const ciphertext = library.C_Encrypt(session, plaintext, Buffer.alloc(plaintext.length + tagBytes));
    // Without its tag a blob would be changed at will: a library that gives none must be noticed here.
    if (ciphertext.length !== plaintext.length + tagBytes)
      throw new HsmError("refused", "the token's AES-GCM gave no tag of 16 bytes");
    return own(Buffer.concat([header, ciphertext]));
  });
}

/** Throws HsmError "tampered" when blob or context is not what was sealed, "refused" when another key sealed it. */
export function unseal(open: SealingToken, bytes: Buffer, aad: Buffer): Buffer {
  const { library, session, token, key } = open;
  const blob = parseBlob(bytes);
  if (blob.checkValue !== key.checkValue) {
    throw new HsmError(
      "refused",
      `sealed by key ${blob.checkValue} of token ${blob.tokenSerial}; this node has key ${key.checkValue} of token ${token.serial}`,
    );
  }
  const output = Buffer.alloc(blob.ciphertext.length);
  try {
    return calling(() => {
      library.C_DecryptInit(session, gcm(blob.iv, Buffer.concat([blob.header, aad])), key.handle);
      return own(library.C_Decrypt(session, blob.ciphertext, output));
    });
  } catch (error) {
    throw meaning(error, open);
  } finally {
    output.fill(0);
  }
}

/** Seals and opens something: whether the token's cryptography works at all. Throws what the token throws. */
export function selfTest(open: SealingToken): void {
  const context = Buffer.from("keyfleet self-test");
  const blob = seal(open, context, context);
  const { iv, header, ciphertext } = parseBlob(blob);
  const opened = calling(() => {
    open.library.C_DecryptInit(open.session, gcm(iv, Buffer.concat([header, context])), open.key.handle);
    return open.library.C_Decrypt(open.session, ciphertext, Buffer.alloc(ciphertext.length));
  });
  if (!opened.equals(context)) throw new TokenFailure("CKR_FUNCTION_FAILED", pkcs11js.CKR_FUNCTION_FAILED);
}

/** tagBits must be given and the property must be called `aad`: pkcs11js drops what it does not know without a word. */
function gcm(iv: Buffer, aad: Buffer): pkcs11js.Mechanism {
  const parameter: pkcs11js.AesGCM = {
    type: pkcs11js.CK_PARAMS_AES_GCM_v240,
    iv,
    ivBits: iv.length * 8,
    aad,
    tagBits: tagBytes * 8,
  };
  return { mechanism: pkcs11js.CKM_AES_GCM, parameter };
}

/** SoftHSM says GENERAL_ERROR for a wrong tag: data when the token otherwise works, a lost device when it does not. */
function meaning(error: unknown, open: SealingToken): unknown {
  if (!(error instanceof TokenFailure)) return error;
  const general = error.code === pkcs11js.CKR_GENERAL_ERROR || error.code === pkcs11js.CKR_FUNCTION_FAILED;
  if (error.remedy !== "data" && !general) return error;
  selfTest(open);
  return new HsmError("tampered", "the blob or its context is not what this token sealed");
}

/** A copy in memory of its own, exactly as long: it can be transferred and zeroed. */
function own(bytes: Buffer): Buffer {
  const copy = Buffer.alloc(bytes.length);
  bytes.copy(copy);
  return copy;
}
