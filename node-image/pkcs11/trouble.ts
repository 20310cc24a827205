import type { HsmStatus } from "../hsm/types.ts";

/** Why the token cannot be used, with the reason that status gives and words on what to do. */
export class Trouble extends Error {
  readonly reason: HsmStatus["reason"];

  constructor(reason: HsmStatus["reason"], message: string) {
    super(message);
    this.name = "Trouble";
    this.reason = reason;
  }
}
