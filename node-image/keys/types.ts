/** Master key versions in memory. Plaintexts it returns are the caller's to zero. */
export interface Keyring {
  /** Whether the master key was dropped from memory: then nothing is opened, and nothing that was kept is given out. */
  readonly closed: boolean;
  /** AES-256-GCM under the newest master key version; `context` is bound as additional data. */
  seal(plaintext: Buffer, context: Buffer): Buffer;
  /** Rejects with KeyError code "tampered" when blob or context is not what was sealed. */
  unseal(blob: Buffer, context: Buffer): Buffer;
  /** HMAC-SHA-256 under a key derived from the newest master key; prefixed with the version. */
  mac(message: Buffer): Buffer;
  /** Constant time. */
  verifies(message: Buffer, mac: Buffer): boolean;
}
