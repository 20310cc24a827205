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
  | "NotExtractable";

/** A request that cannot be done as asked; the message is shown to the client and says what to change, never an internal. */
export class Refusal extends Error {
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string) {
    super(message);
    this.name = "Refusal";
    this.code = code;
  }
}
