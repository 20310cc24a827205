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
  certificateRequest: 10,
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

/**
 * KMIP 1.4, 9.1.3.2.13; Ed25519 and Ed448 as KMIP 2.1, 11.12; ML-KEM, ML-DSA and SLH-DSA by the numbers that the drafts of
 * KMIP 3.0 give them.
 */
export const cryptographicAlgorithm = {
  des: 1,
  tripleDes: 2,
  aes: 3,
  rsa: 4,
  dsa: 5,
  ecdsa: 6,
  hmacSha1: 7,
  hmacSha224: 8,
  hmacSha256: 9,
  hmacSha384: 10,
  hmacSha512: 11,
  hmacMd5: 12,
  dh: 13,
  ecdh: 14,
  ecmqv: 15,
  ec: 26,
  chaCha20: 28,
  chaCha20Poly1305: 30,
  sha3_224: 31,
  sha3_256: 32,
  sha3_384: 33,
  sha3_512: 34,
  hmacSha3_224: 35,
  hmacSha3_256: 36,
  hmacSha3_384: 37,
  hmacSha3_512: 38,
  ed25519: 0x37,
  ed448: 0x38,
  mlKem512: 0x39,
  mlKem768: 0x3a,
  mlKem1024: 0x3b,
  mlDsa44: 0x3c,
  mlDsa65: 0x3d,
  mlDsa87: 0x3e,
  slhDsaSha2_128s: 0x3f,
  slhDsaSha2_128f: 0x40,
  slhDsaSha2_192s: 0x41,
  slhDsaSha2_192f: 0x42,
  slhDsaSha2_256s: 0x43,
  slhDsaSha2_256f: 0x44,
  slhDsaShake_128s: 0x45,
  slhDsaShake_128f: 0x46,
  slhDsaShake_192s: 0x47,
  slhDsaShake_192f: 0x48,
  slhDsaShake_256s: 0x49,
  slhDsaShake_256f: 0x4a,
} as const;

/** KMIP 1.4, 9.1.3.2.14. */
export const blockCipherMode = {
  cbc: 1,
  ecb: 2,
  pcbc: 3,
  cfb: 4,
  ofb: 5,
  ctr: 6,
  cmac: 7,
  ccm: 8,
  gcm: 9,
  cbcMac: 10,
  xts: 11,
  aesKeyWrapPadding: 12,
  nistKeyWrap: 13,
  aead: 18,
} as const;

/** KMIP 1.4, 9.1.3.2.15. */
export const paddingMethod = {
  none: 1,
  oaep: 2,
  pkcs5: 3,
  ssl3: 4,
  zeros: 5,
  ansiX923: 6,
  iso10126: 7,
  pkcs1: 8,
  x931: 9,
  pss: 10,
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
  transparentDsaPrivateKey: 8,
  transparentDsaPublicKey: 9,
  transparentRsaPrivateKey: 10,
  transparentRsaPublicKey: 11,
  transparentDhPrivateKey: 12,
  transparentDhPublicKey: 13,
  transparentEcdsaPrivateKey: 14,
  transparentEcdsaPublicKey: 15,
  transparentEcdhPrivateKey: 16,
  transparentEcdhPublicKey: 17,
  transparentEcPrivateKey: 20,
  transparentEcPublicKey: 21,
  pkcs12: 22,
} as const;

/** KMIP 1.4, 9.1.3.2.16. */
export const hashingAlgorithm = { sha1: 4, sha224: 5, sha256: 6, sha384: 7, sha512: 8 } as const;

/** KMIP 1.4, 9.1.3.2.7. */
export const digitalSignatureAlgorithm = {
  md5WithRsa: 2,
  sha1WithRsa: 3,
  sha224WithRsa: 4,
  sha256WithRsa: 5,
  sha384WithRsa: 6,
  sha512WithRsa: 7,
  rsassaPss: 8,
  dsaWithSha1: 9,
  dsaWithSha224: 10,
  dsaWithSha256: 11,
  ecdsaWithSha1: 12,
  ecdsaWithSha224: 13,
  ecdsaWithSha256: 14,
  ecdsaWithSha384: 15,
  ecdsaWithSha512: 16,
  sha3_256WithRsa: 17,
  sha3_384WithRsa: 18,
  sha3_512WithRsa: 19,
} as const;

/** Bits of Cryptographic Usage Mask (KMIP 1.4, 9.1.3.3.1). */
export const usage = {
  sign: 0x01,
  verify: 0x02,
  encrypt: 0x04,
  decrypt: 0x08,
  wrapKey: 0x10,
  unwrapKey: 0x20,
  export: 0x40,
  macGenerate: 0x80,
  macVerify: 0x100,
  deriveKey: 0x200,
  contentCommitment: 0x400,
  keyAgreement: 0x800,
  certificateSign: 0x1000,
  crlSign: 0x2000,
  generateCryptogram: 0x4000,
} as const;

/** KMIP 1.4, 9.1.3.2.23. */
export const validityIndicator = { valid: 1, invalid: 2, unknown: 3 } as const;

/** KMIP 1.4, 9.1.3.2.20. */
export const linkType = {
  certificate: 0x101,
  publicKey: 0x102,
  privateKey: 0x103,
  derivationBase: 0x104,
  derivedKey: 0x105,
  replacement: 0x106,
  replaced: 0x107,
} as const;

/** KMIP 1.4, 9.1.3.2.19. */
export const revocationReasonCode = { unspecified: 1, keyCompromise: 2, caCompromise: 3 } as const;

/** KMIP 1.4, 9.1.3.2.6. */
export const certificateType = { x509: 1, pgp: 2 } as const;

/** KMIP 1.4, 9.1.3.2.33. */
export const objectGroupMember = { fresh: 1, default: 2 } as const;

/** KMIP 1.4, 9.1.3.2.9. */
export const secretDataType = { password: 1 } as const;

/** KMIP 1.4, 9.1.3.2.37. */
export const rngAlgorithm = { drbg: 3 } as const;

/** KMIP 1.4, 9.1.3.3.2; `destroyed` since 2.0. */
export const storageStatus = { onLine: 1, archival: 2, destroyed: 4 } as const;

/** KMIP 2.1, 12.2: keys are opened in the key server's memory, sealed by a master key that its HSM wraps. */
export const protectionStorage = { software: 1 } as const;
