import pkcs11js from "pkcs11js";

/**
 * What to do about a return value. `retry`: a new session and once more; `relogin`: the token forgot the login;
 * `fatal`: the device or library is gone, finalize and initialize; `data`: the request's bytes are wrong; `pin`: the
 * login was refused, never repeat it with the same PIN.
 */
export type Remedy = "retry" | "relogin" | "fatal" | "data" | "pin";

const remedies = new Map<number, Remedy>([
  [pkcs11js.CKR_SESSION_HANDLE_INVALID, "retry"],
  [pkcs11js.CKR_SESSION_CLOSED, "retry"],
  [pkcs11js.CKR_OPERATION_ACTIVE, "retry"],
  [pkcs11js.CKR_OPERATION_NOT_INITIALIZED, "retry"],
  [pkcs11js.CKR_KEY_HANDLE_INVALID, "retry"],
  [pkcs11js.CKR_OBJECT_HANDLE_INVALID, "retry"],
  [pkcs11js.CKR_USER_NOT_LOGGED_IN, "relogin"],
  [pkcs11js.CKR_ENCRYPTED_DATA_INVALID, "data"],
  [pkcs11js.CKR_ENCRYPTED_DATA_LEN_RANGE, "data"],
  [pkcs11js.CKR_DATA_INVALID, "data"],
  [pkcs11js.CKR_DATA_LEN_RANGE, "data"],
  [pkcs11js.CKR_ARGUMENTS_BAD, "data"],
  [pkcs11js.CKR_MECHANISM_INVALID, "data"],
  [pkcs11js.CKR_MECHANISM_PARAM_INVALID, "data"],
  [pkcs11js.CKR_KEY_FUNCTION_NOT_PERMITTED, "data"],
  [pkcs11js.CKR_KEY_TYPE_INCONSISTENT, "data"],
  [pkcs11js.CKR_TEMPLATE_INCONSISTENT, "data"],
  [pkcs11js.CKR_PIN_INCORRECT, "pin"],
  [pkcs11js.CKR_PIN_INVALID, "pin"],
  [pkcs11js.CKR_PIN_LEN_RANGE, "pin"],
  [pkcs11js.CKR_PIN_EXPIRED, "pin"],
  [pkcs11js.CKR_PIN_LOCKED, "pin"],
]);

/** A refusal of the token, named; never carries data. */
export class TokenFailure extends Error {
  readonly code: number;
  readonly remedy: Remedy;

  constructor(name: string, code: number) {
    super(name);
    this.name = "TokenFailure";
    this.code = code;
    this.remedy = remedies.get(code) ?? "fatal";
  }
}

/** Runs calls of pkcs11js and gives each of its several kinds of error the one form. */
export function calling<Result>(calls: () => Result): Result {
  try {
    return calls();
  } catch (error) {
    throw asTokenFailure(error);
  }
}

/** A return value that was expected and is no failure, such as ALREADY_INITIALIZED; everything else is thrown on. */
export function tolerating(code: number, call: () => void): void {
  try {
    call();
  } catch (error) {
    const failure = asTokenFailure(error);
    if (!(failure instanceof TokenFailure) || failure.code !== code) throw failure;
  }
}

/** pkcs11js throws Pkcs11Error with a code, or (C_SetAttributeValue, C_CreateObject) plain errors "CKR_NAME:16". */
function asTokenFailure(error: unknown): unknown {
  if (error instanceof TokenFailure || !(error instanceof Error)) return error;
  const named = /(CKR_\w+)(?::(\d+))?/.exec(error.message);
  if (named === null) return error;
  const code = (error as { code?: unknown }).code;
  return new TokenFailure(named[1] ?? "CKR_GENERAL_ERROR", typeof code === "number" ? code : Number(named[2] ?? 5));
}
