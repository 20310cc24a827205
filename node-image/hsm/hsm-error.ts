import type { RefusalCode } from "../hsm-wire/messages.ts";

/**
 * Why the root of trust did not do what was asked. `unavailable`: try again later; `refused`: this request is wrong or
 * the token is not this node's; `tampered`: blob or context is not what was sealed; `timeout`: no answer in time.
 */
export class HsmError extends Error {
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string) {
    super(message);
    this.name = "HsmError";
    this.code = code;
  }
}
