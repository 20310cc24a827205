import { createPublicKey } from "node:crypto";
import pkcs11js from "pkcs11js";
import { HsmError } from "../hsm/hsm-error.ts";
import { findObjects } from "./library.ts";
import { calling, TokenFailure } from "./return-values.ts";
import { type SealingToken, selfTest } from "./sealing.ts";
import type { CustodySettings } from "./thread-messages.ts";
import type { OpenToken } from "./wrapping-key.ts";

const p = pkcs11js;
const modulusBits = 3072;

/** Label of the key pair that receives the master key. */
export function joinKeyLabel(keyLabel: string): string {
  return `${keyLabel}-join`;
}

/** The join key pair's public half as DER SPKI; makes the pair inside the token when there is none. Needs a writing session. */
export function makeJoinKey(
  open: SealingToken,
  { keyLabel, node }: Pick<CustodySettings, "keyLabel" | "node">,
): Buffer {
  return publicHalf(open, findJoinKey(open, keyLabel) ?? generated(open, joinKeyLabel(keyLabel), node));
}

/**
 * A token that seals is not lost: it is full, or this user makes no keys. Were it opened anew for that, a node that has its
 * master key would lose it each time somebody asks. Throws HsmError "refused" then.
 */
function generated(open: SealingToken, label: string, node: string): Buffer {
  try {
    return generate(open, label, node);
  } catch (error) {
    if (!(error instanceof TokenFailure)) throw error;
    selfTest(open);
    const where = `token '${open.token.label}' makes no key pair '${label}' (${error.message})`;
    throw new HsmError("refused", `${where}: give it room, or its user the right to make keys`);
  }
}

/** RSA-OAEP (SHA-1) by the private half, which never leaves the token. Throws HsmError "tampered" or "refused". */
export function unwrapJoin(open: OpenToken, keyLabel: string, wrapped: Buffer): Buffer {
  const key = findJoinKey(open, keyLabel);
  if (key === undefined) throw new HsmError("refused", "there is no join key in the token; ask for makeJoinKey first");
  if (wrapped.length !== modulusBits / 8) throw notForUs();
  const output = Buffer.alloc(wrapped.length);
  try {
    const opened = calling(() => {
      open.library.C_DecryptInit(open.session, oaep, key);
      return open.library.C_Decrypt(open.session, wrapped, output);
    });
    const own = Buffer.alloc(opened.length);
    opened.copy(own);
    return own;
  } catch (error) {
    throw meaning(error);
  } finally {
    output.fill(0);
  }
}

const oaepParameter: pkcs11js.RsaOAEP = {
  type: p.CK_PARAMS_RSA_OAEP,
  hashAlg: p.CKM_SHA_1,
  mgf: p.CKG_MGF1_SHA1,
  source: 1,
};
const oaep: pkcs11js.Mechanism = { mechanism: p.CKM_RSA_PKCS_OAEP, parameter: oaepParameter };

function findJoinKey({ library, session }: OpenToken, keyLabel: string): Buffer | undefined {
  const template = [
    { type: p.CKA_CLASS, value: p.CKO_PRIVATE_KEY },
    { type: p.CKA_KEY_TYPE, value: p.CKK_RSA },
    { type: p.CKA_TOKEN, value: true },
    { type: p.CKA_LABEL, value: joinKeyLabel(keyLabel) },
  ];
  return findObjects(library, session, { template, most: 1 })[0];
}

function generate({ library, session }: OpenToken, label: string, node: string): Buffer {
  const publicTemplate = [
    { type: p.CKA_TOKEN, value: true },
    { type: p.CKA_LABEL, value: label },
    { type: p.CKA_ID, value: Buffer.from(node) },
    { type: p.CKA_ENCRYPT, value: true },
    { type: p.CKA_MODULUS_BITS, value: modulusBits },
    { type: p.CKA_PUBLIC_EXPONENT, value: Buffer.from([1, 0, 1]) },
  ];
  const privateTemplate = [
    { type: p.CKA_TOKEN, value: true },
    { type: p.CKA_LABEL, value: label },
    { type: p.CKA_ID, value: Buffer.from(node) },
    { type: p.CKA_PRIVATE, value: true },
    { type: p.CKA_SENSITIVE, value: true },
    { type: p.CKA_EXTRACTABLE, value: false },
    { type: p.CKA_DECRYPT, value: true },
  ];
  const mechanism = { mechanism: p.CKM_RSA_PKCS_KEY_PAIR_GEN };
  return calling(() => library.C_GenerateKeyPair(session, mechanism, publicTemplate, privateTemplate)).privateKey;
}

/** Modulus and exponent are readable at the private object too, so that a lost public object does not matter. */
function publicHalf({ library, session }: OpenToken, key: Buffer): Buffer {
  const wanted = [{ type: p.CKA_MODULUS }, { type: p.CKA_PUBLIC_EXPONENT }];
  const [modulus, exponent] = calling(() => library.C_GetAttributeValue(session, key, wanted));
  const jwk = { kty: "RSA", n: text(modulus?.value), e: text(exponent?.value) };
  return createPublicKey({ key: jwk, format: "jwk" }).export({ type: "spki", format: "der" });
}

function text(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString("base64url") : "";
}

/** The length was right and the key was found: what remains is padding that does not fit, which SoftHSM calls GENERAL_ERROR. */
function meaning(error: unknown): unknown {
  if (!(error instanceof TokenFailure)) return error;
  const data = error.remedy === "data" || error.code === p.CKR_GENERAL_ERROR || error.code === p.CKR_FUNCTION_FAILED;
  return data ? notForUs() : error;
}

function notForUs(): HsmError {
  return new HsmError("tampered", "these bytes were not wrapped for this token's join key");
}
