import type { KeyObject } from "node:crypto";
import type { Gathering } from "./gather.ts";
import type { NonceSource } from "./nonces.ts";
import type { CryptographicParameters } from "./parameters.ts";

/** What a symmetric encryption or decryption is done with. */
export interface CipherRequest {
  readonly direction: "encrypt" | "decrypt";
  /** KMIP Cryptographic Algorithm. */
  readonly algorithm: number;
  readonly key: KeyObject;
  readonly parameters: CryptographicParameters;
  /** IV, counter block or nonce as the client gave it. */
  readonly iv?: Buffer;
  readonly additionalData?: Buffer;
  /** Authentication tag, for decryption. */
  readonly tag?: Buffer;
  readonly nonces: NonceSource;
}

/** Data goes in by parts and comes out as it is ready. */
export interface CipherStream extends Gathering {
  update(data: Buffer): Buffer;
  final(): { readonly data: Buffer; readonly tag?: Buffer };
}
