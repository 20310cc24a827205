/** Why a request was not done; KMIP maps it to a Result Reason, REST to a status. */
export type RefusalCode =
  | "ItemNotFound"
  | "ResponseTooLarge"
  | "InvalidMessage"
  | "OperationNotSupported"
  | "MissingData"
  | "InvalidField"
  | "FeatureNotSupported"
  | "CryptographicFailure"
  | "IllegalOperation"
  | "PermissionDenied"
  | "IndexOutOfBounds"
  | "KeyFormatTypeNotSupported"
  | "KeyCompressionTypeNotSupported"
  | "EncodingOptionError"
  | "KeyValueNotPresent"
  | "Sensitive"
  | "NotExtractable"
  | "AuthenticationNotSuccessful"
  | "OperationCanceledByRequester"
  | "ObjectArchived"
  | "ApplicationNamespaceNotSupported"
  | "AttestationRequired"
  | "AttestationFailed"
  | "ObjectAlreadyExists"
  | "GeneralFailure";

/** Reasons that KMIP has since 2.0 only; a client of an older version is told the plain code. */
export type FinerCode =
  | "ObjectDestroyed"
  | "ObjectNotFound"
  | "WrongKeyLifecycleState"
  | "AttributeReadOnly"
  | "AttributeSingleValued"
  | "MultiValuedAttribute"
  | "AttributeNotFound"
  | "AttributeInstanceNotFound"
  | "UnsupportedAttribute"
  | "InvalidAttribute"
  | "InvalidAttributeValue"
  | "InvalidDataType"
  | "NumericRange"
  | "NonUniqueNameAttribute"
  | "IncompatibleCryptographicUsageMask"
  | "BadCryptographicParameters"
  | "UnsupportedCryptographicParameters"
  | "MissingInitializationVector"
  | "InvalidObjectType"
  | "IllegalObjectType"
  | "InvalidCorrelationValue"
  | "InvalidAsynchronousCorrelationValue"
  | "InvalidCSR"
  | "InvalidTicket"
  | "BadPassword"
  | "UsageLimitExceeded"
  | "KeyWrapTypeNotSupported"
  | "WrappingObjectArchived"
  | "WrappingObjectDestroyed"
  | "WrappingObjectNotFound"
  | "ProtectionStorageUnavailable"
  | "ServerLimitExceeded"
  | "ConstraintViolation"
  | "UnknownTag"
  | "UnknownEnumeration"
  | "UnknownMessageExtension"
  | "UnsupportedProtocolVersion"
  | "PKCS11CodecError"
  | "PKCS11InvalidFunction"
  | "PKCS11InvalidInterface"
  | "NotAuthorised";

/** A request that cannot be done as asked; the message is shown to the client and says what to change, never an internal. */
export class Refusal extends Error {
  readonly code: RefusalCode;
  /** The better word for it that newer clients know. */
  readonly finer: FinerCode | undefined;

  constructor(code: RefusalCode, message: string, finer?: FinerCode) {
    super(message);
    this.name = "Refusal";
    this.code = code;
    this.finer = finer;
  }
}
