/** Why the root of trust does or does not work; the message says what to do about it. */
export interface HsmStatus {
  readonly ready: boolean;
  readonly reason: (typeof reasons)[number];
  readonly message: string;
  readonly tokenLabel?: string;
  readonly tokenSerial?: string;
  /** First bytes of the key check value of the wrapping key, hex. */
  readonly keyCheckValue?: string;
}

export const reasons = [
  "Ready",
  "Starting",
  "LibraryMissing",
  "TokenNotFound",
  "PinMissing",
  "PinRefused",
  "KeyMissing",
  "DeviceLost",
] as const;

/** The node's own hardware security module, behind the sidecar's socket. Every call rejects with HsmError after its deadline at the latest. */
export interface Hsm {
  /** AES-256-GCM under the token's wrapping key; returns a self-describing blob. */
  seal(plaintext: Buffer, aad: Buffer): Promise<Buffer>;
  unseal(blob: Buffer, aad: Buffer): Promise<Buffer>;
  random(length: number): Promise<Buffer>;
  status(): Promise<HsmStatus>;
  /** Makes (or returns) the key pair that receives the master key; DER SPKI of its public half. */
  makeJoinKey(): Promise<Buffer>;
  /** RSA-OAEP (SHA-1, the one hash that every token has) with the private half, inside the token. */
  unwrapJoin(wrapped: Buffer): Promise<Buffer>;
}
