/**
 * Why the keyring did not do what was asked. `tampered`: bytes or context are not what was sealed; `unknownVersion`:
 * sealed under a master key version that this node does not hold (yet); `closed`: the root of trust was lost.
 */
export class KeyError extends Error {
  readonly code: "tampered" | "unknownVersion" | "closed";

  constructor(code: KeyError["code"], message: string) {
    super(message);
    this.name = "KeyError";
    this.code = code;
  }
}
