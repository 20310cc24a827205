import { createHmac, randomBytes, scryptSync } from "node:crypto";
import pkcs11js from "pkcs11js";
import { type Custody, type RefusedPin, readCustody, writeCustody } from "./custody.ts";
import type { Library } from "./library.ts";
import { limits } from "./limits.ts";
import { calling, TokenFailure, tolerating } from "./return-values.ts";
import { findToken, type Token, type TokenChoice } from "./token.ts";
import { Trouble } from "./trouble.ts";

/** What a login needs. */
export interface LoginPlace {
  readonly library: Library;
  readonly session: Buffer;
  readonly token: Token;
  readonly choice: TokenChoice;
  readonly stateFolder: string;
}

/**
 * Logs in with each PIN value exactly once after a refusal, over restarts too: ten wrong tries lock a Luna partition,
 * and a supervisor that restarts the sidecar would make them in a minute. The try is written down before it is made.
 */
export class LoginKeeper {
  /** Spares the scrypt of every re-check while the same refused PIN is still mounted; the key never leaves this process. */
  readonly #memoryKey = randomBytes(32);
  #standing: { readonly pinTag: string; readonly refusal: RefusedPin } | undefined;
  /** The PIN value that the token took last. */
  #taken: string | undefined;

  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Throws Trouble "PinRefused" without asking the token when this PIN value was refused before. */
  login(place: LoginPlace, pin: Buffer): void {
    const tag = createHmac("sha256", this.#memoryKey).update(pin).digest("hex");
    if (this.#standing?.pinTag === tag && !lockLifted(this.#standing.refusal, place.token))
      throw refused(this.#standing.refusal, place.token);
    this.#standing = undefined;
    if ((place.token.flags & pkcs11js.CKF_USER_PIN_FINAL_TRY) !== 0 && tag !== this.#taken) throw lastTry(place.token);
    const before = withSalt(readCustody(place.stateFolder));
    const fingerprint = fingerprintOf(pin, before.salt);
    const refusal = before.refusedPins.find(
      (entry) => entry.fingerprint === fingerprint && !lockLifted(entry, place.token),
    );
    if (refusal !== undefined) this.#stand(tag, refusal, place.token);
    this.#try(place, { pin, tag, fingerprint, begun: begin(before, fingerprint, this.#now()) });
  }

  #try(place: LoginPlace, attempt: { pin: Buffer; tag: string; fingerprint: string; begun: Custody }): void {
    writeCustody(place.stateFolder, attempt.begun);
    try {
      calling(() => loginOnce(place, attempt.pin));
      this.#taken = attempt.tag;
      writeCustody(place.stateFolder, { ...finished(attempt.begun), refusedPins: [] });
    } catch (error) {
      const refusal = refusalOf(error, place, attempt.fingerprint);
      const after = finished(attempt.begun);
      if (refusal === undefined) {
        // What was written before the try stays otherwise: it may have been counted.
        if (pinWasNotSeen(error)) writeCustody(place.stateFolder, after);
        throw withoutUserPin(error, place.token) ?? error;
      }
      const others = after.refusedPins.filter((entry) => entry.fingerprint !== attempt.fingerprint);
      writeCustody(place.stateFolder, { ...after, refusedPins: [refusal, ...others].slice(0, limits.refusedPins) });
      this.#stand(attempt.tag, refusal, place.token);
    }
  }

  #stand(pinTag: string, refusal: RefusedPin, token: Token): never {
    this.#standing = { pinTag, refusal };
    throw refused(refusal, token);
  }
}

/** pkcs11js takes the PIN as a string only; this one lives for the call and no name refers to it. */
function loginOnce({ library, session }: LoginPlace, pin: Buffer): void {
  tolerating(pkcs11js.CKR_USER_ALREADY_LOGGED_IN, () =>
    library.C_Login(session, pkcs11js.CKU_USER, pin.toString("utf8")),
  );
}

/** A login that never came back, or failed without a reason, may have been counted by the token; after a few, they are made rarely. */
function begin(before: Custody, fingerprint: string, nowMs: number): Custody {
  const earlier = before.unfinishedLogin?.fingerprint === fingerprint ? before.unfinishedLogin : undefined;
  const nextMs = (earlier?.atMs ?? 0) + limits.unfinishedLoginPauseMs;
  // A clock that was ahead then has been set right since: what it said counts for no longer than a pause.
  const waits = nowMs < nextMs && nextMs - nowMs <= limits.unfinishedLoginPauseMs;
  if (earlier !== undefined && earlier.times >= limits.unfinishedLogins && waits) {
    const when = new Date(nextMs).toISOString();
    throw new Trouble(
      "DeviceLost",
      `${earlier.times} logins got no answer from the token that says whether the PIN is right; the next is made at ${when}: check the device and its network`,
    );
  }
  const unfinishedLogin = { fingerprint, times: (earlier?.times ?? 0) + 1, atMs: nowMs };
  return { ...before, loginAttempts: before.loginAttempts + 1, unfinishedLogin };
}

function finished(custody: Custody): Custody {
  const { unfinishedLogin: _, ...rest } = custody;
  return rest;
}

/** Return values that tell that no PIN was compared; any other, a vendor's above all, may stand for a wrong one. */
const pinNotSeen: ReadonlySet<number> = new Set([
  pkcs11js.CKR_HOST_MEMORY,
  pkcs11js.CKR_DEVICE_ERROR,
  pkcs11js.CKR_DEVICE_MEMORY,
  pkcs11js.CKR_DEVICE_REMOVED,
  pkcs11js.CKR_TOKEN_NOT_PRESENT,
  pkcs11js.CKR_TOKEN_NOT_RECOGNIZED,
  pkcs11js.CKR_SESSION_CLOSED,
  pkcs11js.CKR_SESSION_HANDLE_INVALID,
  pkcs11js.CKR_CRYPTOKI_NOT_INITIALIZED,
  pkcs11js.CKR_USER_PIN_NOT_INITIALIZED,
]);

function pinWasNotSeen(error: unknown): boolean {
  return error instanceof TokenFailure && pinNotSeen.has(error.code);
}

function refusalOf(error: unknown, place: LoginPlace, fingerprint: string): RefusedPin | undefined {
  if (!(error instanceof TokenFailure) || error.remedy !== "pin") return undefined;
  return { fingerprint, cause: error.message, lockShown: showsLock(place) };
}

/** A token that goes away after a refusal must not keep it from being remembered. */
function showsLock({ library, choice }: LoginPlace): boolean {
  try {
    return (findToken(library, choice).flags & pkcs11js.CKF_USER_PIN_LOCKED) !== 0;
  } catch {
    return false;
  }
}

/** Others may have used up the tries: of a token that nodes share, or before this PIN was given. */
function lastTry(token: Token): Trouble {
  return new Trouble(
    "PinRefused",
    `token '${token.label}' locks at the next wrong PIN, so none is tried: log in once by hand with the right one, which gives it all its tries back`,
  );
}

/** No refusal of this PIN: it may be the one that will be set. */
function withoutUserPin(error: unknown, token: Token): Trouble | undefined {
  if (!(error instanceof TokenFailure) || error.code !== pkcs11js.CKR_USER_PIN_NOT_INITIALIZED) return undefined;
  return new Trouble(
    "PinRefused",
    `token '${token.label}' has no user PIN yet; set one as its security officer and put it into the PIN Secret`,
  );
}

/** A security officer unlocked the token: the same PIN may be right again. */
function lockLifted(refusal: RefusedPin, token: Token): boolean {
  return refusal.lockShown && (token.flags & pkcs11js.CKF_USER_PIN_LOCKED) === 0;
}

function refused(refusal: RefusedPin, token: Token): Trouble {
  return new Trouble(
    "PinRefused",
    `token '${token.label}' refused the PIN (${refusal.cause}); ${advice(refusal.cause)}`,
  );
}

function advice(cause: string): string {
  const once = "it was tried once and is not tried again";
  if (cause === "CKR_PIN_LOCKED")
    return `${once}: unlock the token as its security officer, then set a new user PIN and put it into the PIN Secret`;
  if (cause === "CKR_PIN_EXPIRED")
    return `${once}: the token wants its user PIN changed before first use; change it and put the new one into the PIN Secret`;
  return `${once}, so that the token does not lock: put the right PIN into the Secret that settings.hsm.pinSecretRef names`;
}

function withSalt(custody: Custody): Custody & { readonly salt: string } {
  return { ...custody, salt: custody.salt ?? randomBytes(16).toString("hex") };
}

/** Slow on purpose: PINs are short, and this rests on a disk. */
function fingerprintOf(pin: Buffer, salt: string): string {
  return scryptSync(pin, Buffer.from(salt, "hex"), 32, { N: 2 ** 14, r: 8, p: 1 }).toString("hex");
}
