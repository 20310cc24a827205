import type { HsmStatus } from "../hsm/types.ts";
import { finalize, initialize, type Library, loadLibrary, openSession } from "./library.ts";
import { LoginKeeper } from "./login.ts";
import { withPin } from "./pin.ts";
import { calling, TokenFailure } from "./return-values.ts";
import { selfTest } from "./sealing.ts";
import { makeSoftToken, softTokenWanted } from "./soft-token.ts";
import type { CustodySettings } from "./thread-messages.ts";
import { findToken, type Token, type TokenChoice } from "./token.ts";
import { Trouble } from "./trouble.ts";
import { findWrappingKey, type OpenToken, openWrappingKey, type WrappingKey } from "./wrapping-key.ts";

/** The thread that opens the token for the whole process and keeps it open: a login lasts as long as one session does. */
export class TokenKeeper {
  readonly #settings: CustodySettings;
  readonly #logins = new LoginKeeper();
  #library: Library | undefined;
  #open: (OpenToken & { readonly key: WrappingKey }) | undefined;

  constructor(settings: CustodySettings) {
    this.#settings = settings;
  }

  /** Library, token, login, key, self-test, from the beginning: every other thread's sessions end. */
  open(): HsmStatus {
    return this.#reporting(() => {
      this.#open = undefined;
      this.#library ??= loadLibrary(this.#settings.library);
      finalize(this.#library);
      this.#makeSoftTokenWhenWanted(this.#library);
      initialize(this.#library);
      const token = findToken(this.#library, choiceOf(this.#settings));
      this.#open = this.#openToken(this.#library, token);
      return readyStatus(token, this.#open.key);
    });
  }

  /** Whether what was opened still works; looks for the key, because a logged-out token answers with nothing instead of an error. */
  probe(): HsmStatus {
    return this.#reporting(() => {
      const open = this.#open;
      if (open === undefined) throw new Trouble("Starting", "the token is not open");
      const key = findWrappingKey(open, this.#settings.keyLabel);
      if (key?.checkValue !== open.key.checkValue)
        throw new Trouble(
          "DeviceLost",
          `token '${open.token.label}' no longer shows the wrapping key; it is being opened again`,
        );
      return readyStatus(open.token, open.key);
    });
  }

  /** The open token, with a session for writing. */
  opened(): OpenToken & { readonly key: WrappingKey } {
    if (this.#open === undefined) throw new Trouble("Starting", "the token is not open");
    return this.#open;
  }

  #openToken(library: Library, token: Token): OpenToken & { readonly key: WrappingKey } {
    const { pinFile, stateFolder } = this.#settings;
    const session = openSession(library, token.slot, "write");
    const place = { library, session, token, choice: choiceOf(this.#settings), stateFolder };
    withPin(pinFile, (pin) => this.#logins.login(place, pin));
    const key = openWrappingKey({ library, session, token }, this.#settings);
    const open = { library, session, token, key };
    selfTest(open);
    return open;
  }

  #makeSoftTokenWhenWanted(library: Library): void {
    const { softTokenInitialise, stateFolder, tokenLabel, pinFile } = this.#settings;
    if (!softTokenInitialise || tokenLabel === undefined || !softTokenWanted(stateFolder, tokenLabel)) return;
    withPin(pinFile, (pin) => calling(() => makeSoftToken(library, { label: tokenLabel, pin }, stateFolder)));
  }

  #reporting(look: () => HsmStatus): HsmStatus {
    try {
      return look();
    } catch (error) {
      return troubleStatus(error, this.#settings);
    }
  }
}

/** Which token these settings mean. */
export function choiceOf(settings: CustodySettings): TokenChoice {
  const { library, tokenLabel, tokenSerial } = settings;
  return {
    library,
    ...(tokenLabel === undefined ? {} : { label: tokenLabel }),
    ...(tokenSerial === undefined ? {} : { serial: tokenSerial }),
  };
}

function readyStatus(token: Token, key: WrappingKey): HsmStatus {
  const message = `token '${token.label}' (serial ${token.serial}) is open`;
  return {
    ready: true,
    reason: "Ready",
    message,
    tokenLabel: token.label,
    tokenSerial: token.serial,
    keyCheckValue: key.checkValue,
  };
}

function troubleStatus(error: unknown, settings: CustodySettings): HsmStatus {
  if (error instanceof Trouble) return { ready: false, reason: error.reason, message: error.message };
  if (error instanceof TokenFailure) {
    const message = `the token behind ${settings.library} does not answer as it should (${error.message}); it is opened again, check the device and its network`;
    return { ready: false, reason: "DeviceLost", message };
  }
  const detail = error instanceof Error ? error.message : "unknown error";
  return {
    ready: false,
    reason: "Starting",
    message: `the HSM sidecar cannot work in ${settings.stateFolder}: ${detail}`,
  };
}
