import { Refusal } from "../objects/refusal.ts";

/** The one answer to encrypted data that does not open, whatever the cause: it teaches nothing about padding or tag. */
export function notDecrypted(): Refusal {
  return new Refusal("CryptographicFailure", "The data does not decrypt with this key and these parameters");
}

/** Does the work; every failure but a refusal is the one answer. */
export function decrypting<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw error instanceof Refusal ? error : notDecrypted();
  }
}
