/** KMIP Cryptographic Parameters (1.4, 3.6), by KMIP enumeration values. Lengths as KMIP has them: IV Length in bits, Tag Length in bytes. */
export interface CryptographicParameters {
  readonly blockCipherMode?: number;
  readonly paddingMethod?: number;
  readonly hashingAlgorithm?: number;
  readonly keyRoleType?: number;
  readonly digitalSignatureAlgorithm?: number;
  readonly cryptographicAlgorithm?: number;
  readonly randomIv?: boolean;
  readonly ivLength?: number;
  readonly tagLength?: number;
  readonly fixedFieldLength?: number;
  readonly invocationFieldLength?: number;
  readonly counterLength?: number;
  readonly initialCounterValue?: number;
  readonly saltLength?: number;
  readonly maskGenerator?: number;
  readonly maskGeneratorHashingAlgorithm?: number;
  /** Hexadecimal digits. */
  readonly pSource?: string;
  readonly trailerField?: number;
}
