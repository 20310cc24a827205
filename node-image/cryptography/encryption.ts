import { cryptographicAlgorithm } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { checkUnauthenticated, type StartedCipher, startCipher } from "./cipher.ts";
import type { CipherRequest } from "./cipher-request.ts";
import { whole } from "./cipher-streams.ts";
import { rsaDecrypt, rsaEncrypt } from "./rsa.ts";

/** Begins an encryption or decryption with any key that does such: symmetric ones, and RSA. Throws Refusal. */
export function startEncryption(request: CipherRequest): StartedCipher {
  const { key, parameters, direction } = request;
  if (key.type === "secret") return startCipher(request);
  if (key.asymmetricKeyType !== "rsa") {
    throw new Refusal(
      "PermissionDenied",
      "Of asymmetric keys only RSA encrypts data: derive or encapsulate a key with others",
    );
  }
  const other = parameters.cryptographicAlgorithm;
  if (other !== undefined && other !== cryptographicAlgorithm.rsa) {
    throw new Refusal(
      "InvalidField",
      "Cryptographic Algorithm of the parameters does not fit the key",
      "BadCryptographicParameters",
    );
  }
  checkUnauthenticated(request);
  if (request.iv !== undefined) throw new Refusal("InvalidField", "RSA takes no IV/Counter/Nonce");
  if (direction === "encrypt") return { stream: whole((data) => rsaEncrypt(key, data, parameters)) };
  if (key.type !== "private") throw new Refusal("PermissionDenied", "Decrypt needs the private key of the pair");
  return { stream: whole((data) => rsaDecrypt(key, data, parameters)) };
}
