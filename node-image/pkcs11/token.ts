import pkcs11js from "pkcs11js";
import type { Library } from "./library.ts";
import { limits } from "./limits.ts";
import { calling } from "./return-values.ts";
import { Trouble } from "./trouble.ts";

/** Which token is meant; all that is given must match. */
export interface TokenChoice {
  readonly library: string;
  readonly label?: string;
  readonly serial?: string;
}

/** A token in a slot of the library. */
export interface Token {
  readonly slot: Buffer;
  readonly label: string;
  readonly serial: string;
  readonly flags: number;
}

/** The one initialised token that is meant, never by slot number (SoftHSM makes those up). Throws Trouble "TokenNotFound". */
export function findToken(library: Library, choice: TokenChoice): Token {
  const present = initialisedTokens(library);
  const matching = present.filter((token) => matches(token, choice));
  const [token] = matching;
  if (token !== undefined && matching.length === 1) return token;
  const problem = matching.length === 0 ? "not found" : `found ${matching.length} times`;
  const where = `in ${choice.library}; tokens present: ${described(present)}; check settings.hsm.token`;
  throw new Trouble("TokenNotFound", `token ${wanted(choice)} ${problem} ${where}`);
}

/** The first slot whose token is still blank. Throws Trouble "TokenNotFound" when there is none. */
export function blankSlot(library: Library): Buffer {
  const slots = calling(() => library.C_GetSlotList(true));
  const blank = slots.find(
    (slot) => (calling(() => library.C_GetTokenInfo(slot)).flags & pkcs11js.CKF_TOKEN_INITIALIZED) === 0,
  );
  if (blank === undefined)
    throw new Trouble("TokenNotFound", "the library offers no blank slot in which a token could be made");
  return blank;
}

function initialisedTokens(library: Library): Token[] {
  const slots = calling(() => library.C_GetSlotList(true));
  const tokens = slots.map((slot) => {
    const info = calling(() => library.C_GetTokenInfo(slot));
    return { slot, label: trimmed(info.label), serial: trimmed(info.serialNumber), flags: info.flags };
  });
  return tokens.filter((token) => (token.flags & pkcs11js.CKF_TOKEN_INITIALIZED) !== 0);
}

function matches(token: Token, choice: TokenChoice): boolean {
  return (choice.label ?? token.label) === token.label && (choice.serial ?? token.serial) === token.serial;
}

/** PKCS#11 pads with blanks; some libraries with zero bytes. */
function trimmed(text: string): string {
  return text.replace(/[\s\0]+$/, "");
}

function wanted(choice: TokenChoice): string {
  const label = choice.label === undefined ? [] : [`'${choice.label}'`];
  const serial = choice.serial === undefined ? [] : [`with serial '${choice.serial}'`];
  return [...label, ...serial].join(" ");
}

function described(tokens: readonly Token[]): string {
  if (tokens.length === 0) return "none";
  const named = tokens
    .slice(0, limits.tokensNamedInMessage)
    .map((token) => `'${token.label}' (serial ${token.serial})`);
  return tokens.length > named.length
    ? `${named.join(", ")} and ${tokens.length - named.length} more`
    : named.join(", ");
}
