/** KMIP 1.4, 9.1.3.2.12. */
export const objectType = {
  certificate: 1,
  symmetricKey: 2,
  publicKey: 3,
  privateKey: 4,
  splitKey: 5,
  template: 6,
  secretData: 7,
  opaqueObject: 8,
  pgpKey: 9,
} as const;

/** KMIP 1.4, 9.1.3.2.18. */
export const state = {
  preActive: 1,
  active: 2,
  deactivated: 3,
  compromised: 4,
  destroyed: 5,
  destroyedCompromised: 6,
} as const;

/** One of the lifecycle states. */
export type State = (typeof state)[keyof typeof state];

/** Those that the server makes or measures itself (KMIP 1.4, 9.1.3.2.13). */
export const cryptographicAlgorithm = {
  des: 1,
  tripleDes: 2,
  aes: 3,
  rsa: 4,
  ecdsa: 6,
  hmacSha1: 7,
  hmacSha224: 8,
  hmacSha256: 9,
  hmacSha384: 10,
  hmacSha512: 11,
  hmacMd5: 12,
  ec: 26,
} as const;

/** KMIP 1.4, 9.1.3.2.3. */
export const keyFormatType = {
  raw: 1,
  opaque: 2,
  pkcs1: 3,
  pkcs8: 4,
  x509: 5,
  ecPrivateKey: 6,
  transparentSymmetricKey: 7,
  pkcs12: 22,
} as const;

/** KMIP 1.4, 9.1.3.2.16. */
export const hashingAlgorithm = { sha256: 6 } as const;

/** KMIP 1.4, 9.1.3.2.19. */
export const revocationReasonCode = { unspecified: 1, keyCompromise: 2, caCompromise: 3 } as const;

/** KMIP 1.4, 9.1.3.2.6. */
export const certificateType = { x509: 1, pgp: 2 } as const;

/** KMIP 1.4, 9.1.3.2.33. */
export const objectGroupMember = { fresh: 1, default: 2 } as const;

/** KMIP 1.4, 9.1.3.2.37. */
export const rngAlgorithm = { drbg: 3 } as const;

/** KMIP 1.4, 9.1.3.3.2. */
export const storageStatus = { onLine: 1, archival: 2 } as const;
