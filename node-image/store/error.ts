import type { StoreErrorCode } from "./types.ts";

/** A failed call to the store; `code` says why, the message what to do. Nothing of a refused write stays. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
