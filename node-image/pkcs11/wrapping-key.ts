import pkcs11js from "pkcs11js";
import { type Custody, readCustody, writeCustody } from "./custody.ts";
import { findObjects, type Library } from "./library.ts";
import { calling, TokenFailure } from "./return-values.ts";
import type { CustodySettings } from "./thread-messages.ts";
import type { Token } from "./token.ts";
import { Trouble } from "./trouble.ts";

/** The AES-256 key inside the token that seals this node's master key. */
export interface WrappingKey {
  readonly handle: Buffer;
  /** First three bytes of the encryption of a zero block, hex. */
  readonly checkValue: string;
  /** The node that made it (its CKA_ID); empty for one that was made by hand. */
  readonly madeFor: string;
}

/** A session that is logged in on a token. */
export interface OpenToken {
  readonly library: Library;
  readonly session: Buffer;
  readonly token: Token;
}

const p = pkcs11js;

/** What this node knows of the key that it once had. */
type RememberedKey = Pick<NonNullable<Custody["wrappingKey"]>, "label" | "checkValue">;

/**
 * This node's wrapping key. Made only when this node never had one: a token that lost it must not be given another,
 * because what the lost one sealed would look like garbage. Never another node's: it is destroyed when that one departs.
 * Throws Trouble "KeyMissing".
 */
export function openWrappingKey(
  open: OpenToken,
  { keyLabel: label, node, stateFolder }: Pick<CustodySettings, "keyLabel" | "node" | "stateFolder">,
): WrappingKey {
  const known = readCustody(stateFolder).wrappingKey;
  const found = findWrappingKey(open, label);
  if (found === undefined && known !== undefined) throw missing(open, label, known);
  if (found !== undefined && known === undefined && found.madeFor !== "" && found.madeFor !== node)
    throw anothers(open.token, label, found.madeFor);
  const key = found ?? makeWrappingKey(open, label, node);
  if (known !== undefined && known.checkValue !== key.checkValue)
    throw different(open.token, label, [key.checkValue, known]);
  if (known === undefined) remember(open.token, { label, checkValue: key.checkValue }, stateFolder);
  return key;
}

/** Who mistypes a label must not be told to give up a node whose key is there. */
function missing(open: OpenToken, label: string, known: RememberedKey): Trouble {
  const own = known.label === label ? undefined : findWrappingKey(open, known.label);
  if (own?.checkValue !== known.checkValue) return lost(open.token, known);
  return new Trouble(
    "KeyMissing",
    `token '${open.token.label}' holds no key '${label}'; this node's key is '${known.label}', and it is there: check settings.hsm.keyLabel`,
  );
}

/** The wrapping key with this label, or undefined. Throws Trouble "KeyMissing" when it is ambiguous or could leave the token. */
export function findWrappingKey(open: OpenToken, label: string): WrappingKey | undefined {
  const { library, session, token } = open;
  const template = [
    { type: p.CKA_CLASS, value: p.CKO_SECRET_KEY },
    { type: p.CKA_KEY_TYPE, value: p.CKK_AES },
    { type: p.CKA_TOKEN, value: true },
    { type: p.CKA_LABEL, value: label },
  ];
  const found = findObjects(library, session, { template, most: 2 });
  if (found.length > 1)
    throw new Trouble(
      "KeyMissing",
      `token '${token.label}' holds several AES keys labelled '${label}'; keep one or set settings.hsm.keyLabel`,
    );
  const [handle] = found;
  if (handle === undefined) return undefined;
  refuseExtractable(open, handle, label);
  return { handle, checkValue: checkValueOf(open, handle), madeFor: madeForOf(open, handle) };
}

function makeWrappingKey(open: OpenToken, label: string, node: string): WrappingKey {
  const { library, session } = open;
  const template = [
    { type: p.CKA_CLASS, value: p.CKO_SECRET_KEY },
    { type: p.CKA_KEY_TYPE, value: p.CKK_AES },
    { type: p.CKA_VALUE_LEN, value: 32 },
    { type: p.CKA_LABEL, value: label },
    { type: p.CKA_ID, value: Buffer.from(node) },
    { type: p.CKA_TOKEN, value: true },
    { type: p.CKA_PRIVATE, value: true },
    { type: p.CKA_SENSITIVE, value: true },
    { type: p.CKA_EXTRACTABLE, value: false },
    { type: p.CKA_MODIFIABLE, value: false },
    { type: p.CKA_ENCRYPT, value: true },
    { type: p.CKA_DECRYPT, value: true },
    { type: p.CKA_WRAP, value: true },
    { type: p.CKA_UNWRAP, value: true },
  ];
  const handle = generated(open, label, () =>
    library.C_GenerateKey(session, { mechanism: p.CKM_AES_KEY_GEN }, template),
  );
  return { handle, checkValue: checkValueOf(open, handle), madeFor: node };
}

/** A token that says why it makes none is there: it is full, or this user makes no keys. */
function generated(open: OpenToken, label: string, generate: () => Buffer): Buffer {
  try {
    return calling(generate);
  } catch (error) {
    if (!(error instanceof TokenFailure) || gone.has(error.code)) throw error;
    throw notMade(open.token, label, error.message);
  }
}

/** What says nothing of the key that is to be made. */
const gone: ReadonlySet<number> = new Set([
  p.CKR_GENERAL_ERROR,
  p.CKR_FUNCTION_FAILED,
  p.CKR_DEVICE_ERROR,
  p.CKR_DEVICE_REMOVED,
  p.CKR_TOKEN_NOT_PRESENT,
  p.CKR_SESSION_CLOSED,
  p.CKR_SESSION_HANDLE_INVALID,
  p.CKR_USER_NOT_LOGGED_IN,
  p.CKR_CRYPTOKI_NOT_INITIALIZED,
]);

function madeForOf({ library, session }: OpenToken, handle: Buffer): string {
  const [id] = calling(() => library.C_GetAttributeValue(session, handle, [{ type: p.CKA_ID }]));
  return Buffer.isBuffer(id?.value) ? id.value.toString("utf8") : "";
}

function refuseExtractable({ library, session, token }: OpenToken, handle: Buffer, label: string): void {
  const wanted = [{ type: p.CKA_SENSITIVE }, { type: p.CKA_EXTRACTABLE }, { type: p.CKA_VALUE_LEN }];
  const [sensitive, extractable, length] = calling(() => library.C_GetAttributeValue(session, handle, wanted));
  const safe = flag(sensitive?.value) && !flag(extractable?.value) && bytesOf(length?.value).readUInt8(0) === 32;
  if (safe) return;
  throw new Trouble(
    "KeyMissing",
    `the key '${label}' in token '${token.label}' is not a sensitive, non-extractable AES-256 key; set settings.hsm.keyLabel to another label`,
  );
}

function flag(value: unknown): boolean {
  return bytesOf(value).readUInt8(0) !== 0;
}

function bytesOf(value: unknown): Buffer {
  return Buffer.isBuffer(value) && value.length > 0 ? value : Buffer.alloc(1);
}

/** By encryption, not by CKA_CHECK_VALUE, which not every token has. */
function checkValueOf({ library, session }: OpenToken, handle: Buffer): string {
  return calling(() => {
    library.C_EncryptInit(session, { mechanism: p.CKM_AES_ECB }, handle);
    return library.C_Encrypt(session, Buffer.alloc(16), Buffer.alloc(32)).toString("hex", 0, 3);
  });
}

function remember(token: Token, key: { label: string; checkValue: string }, stateFolder: string): void {
  writeCustody(stateFolder, { ...readCustody(stateFolder), wrappingKey: { ...key, tokenSerial: token.serial } });
}

function lost(token: Token, { label, checkValue }: RememberedKey): Trouble {
  const advice =
    "a new one is never made, because it could not open what the lost one sealed: restore the token, or remove this node and let it join again";
  return new Trouble(
    "KeyMissing",
    `token '${token.label}' no longer holds the wrapping key '${label}' (check value ${checkValue}); ${advice}`,
  );
}

function notMade(token: Token, label: string, cause: string): Trouble {
  const advice =
    "give it room, or its user the right to make keys, or make a sensitive, non-extractable AES-256 key of that label by hand";
  return new Trouble("KeyMissing", `token '${token.label}' makes no key '${label}' (${cause}): ${advice}`);
}

function anothers(token: Token, label: string, madeFor: string): Trouble {
  const advice =
    "each node needs a key of its own: take keyLabel out of the hsm settings that several nodes have in common, or give each another";
  return new Trouble(
    "KeyMissing",
    `the key '${label}' in token '${token.label}' was made by the node '${madeFor}'; ${advice}`,
  );
}

function different(token: Token, label: string, [found, known]: readonly [string, RememberedKey]): Trouble {
  const advice = "check settings.hsm.token and settings.hsm.keyLabel, or remove this node and let it join again";
  return new Trouble(
    "KeyMissing",
    `the key '${label}' in token '${token.label}' has check value ${found}, this node's key '${known.label}' had ${known.checkValue}; ${advice}`,
  );
}
