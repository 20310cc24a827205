import { randomUUID } from "node:crypto";
import { type FinerCode, Refusal, type RefusalCode } from "../objects/refusal.ts";
import type { Context } from "../operations/context.ts";
import { knows } from "./enumeration.ts";
import { enumerations } from "./enumerations.ts";
import type { ResponseItem } from "./messages.ts";
import { NotInVersion } from "./shape.ts";

/** KMIP Result Reason of each refusal (9.1.3.2.29), and the one that 2.x has in its place. */
const reasons: Readonly<Record<RefusalCode, readonly [number, number?]>> = {
  ItemNotFound: [0x01, 0x37],
  ResponseTooLarge: [0x02],
  AuthenticationNotSuccessful: [0x03],
  InvalidMessage: [0x04],
  OperationNotSupported: [0x05],
  MissingData: [0x06],
  InvalidField: [0x07],
  FeatureNotSupported: [0x08],
  OperationCanceledByRequester: [0x09],
  CryptographicFailure: [0x0a],
  IllegalOperation: [0x0b],
  PermissionDenied: [0x0c],
  ObjectArchived: [0x0d],
  IndexOutOfBounds: [0x0e, 0x3a],
  ApplicationNamespaceNotSupported: [0x0f],
  KeyFormatTypeNotSupported: [0x10],
  KeyCompressionTypeNotSupported: [0x11],
  EncodingOptionError: [0x12],
  KeyValueNotPresent: [0x13],
  AttestationRequired: [0x14],
  AttestationFailed: [0x15],
  Sensitive: [0x16],
  NotExtractable: [0x17],
  ObjectAlreadyExists: [0x18],
  GeneralFailure: [0x100],
};

/** KMIP 2.1, 11.46. */
const finerReasons: Readonly<Record<FinerCode, number>> = {
  InvalidTicket: 0x19,
  UsageLimitExceeded: 0x1a,
  NumericRange: 0x1b,
  InvalidDataType: 0x1c,
  MultiValuedAttribute: 0x1e,
  UnsupportedAttribute: 0x1f,
  AttributeInstanceNotFound: 0x20,
  AttributeNotFound: 0x21,
  AttributeReadOnly: 0x22,
  AttributeSingleValued: 0x23,
  BadCryptographicParameters: 0x24,
  BadPassword: 0x25,
  IllegalObjectType: 0x28,
  IncompatibleCryptographicUsageMask: 0x29,
  InvalidAsynchronousCorrelationValue: 0x2b,
  InvalidAttribute: 0x2c,
  InvalidAttributeValue: 0x2d,
  InvalidCorrelationValue: 0x2e,
  InvalidCSR: 0x2f,
  InvalidObjectType: 0x30,
  KeyWrapTypeNotSupported: 0x32,
  MissingInitializationVector: 0x34,
  NonUniqueNameAttribute: 0x35,
  ObjectDestroyed: 0x36,
  ObjectNotFound: 0x37,
  NotAuthorised: 0x39,
  ServerLimitExceeded: 0x3a,
  UnknownEnumeration: 0x3b,
  UnknownMessageExtension: 0x3c,
  UnknownTag: 0x3d,
  UnsupportedCryptographicParameters: 0x3e,
  UnsupportedProtocolVersion: 0x3f,
  WrappingObjectArchived: 0x40,
  WrappingObjectDestroyed: 0x41,
  WrappingObjectNotFound: 0x42,
  WrongKeyLifecycleState: 0x43,
  ProtectionStorageUnavailable: 0x44,
  PKCS11CodecError: 0x45,
  PKCS11InvalidFunction: 0x46,
  PKCS11InvalidInterface: 0x47,
  ConstraintViolation: 0x4b,
};

/** 2.0 has the word, and its own test cases do not use it: AKLC-M-2-20, CS-BC-M-14-20 and others say Permission Denied. */
const usedSince: Partial<Readonly<Record<FinerCode, number>>> = { WrongKeyLifecycleState: 21 };

const permissionDenied = 0x0c;
const generalFailure = 0x100;
const operationFailed = 1;

/** The result as a word for metrics and logs. */
export function resultReason(error: unknown): string {
  if (error instanceof Refusal) return error.code;
  return error instanceof NotInVersion ? "FeatureNotSupported" : "GeneralFailure";
}

/** The answer to a request that failed. What was not foreseen is told by a number only, under which the log has the rest. */
export function failed(
  error: unknown,
  around: { readonly log: Context["log"]; readonly version: number },
): ResponseItem {
  if (error instanceof NotInVersion) {
    return failed(
      new Refusal(
        "FeatureNotSupported",
        `The object cannot be told in this protocol version (${error.message}): use a later one`,
      ),
      around,
    );
  }
  if (error instanceof Refusal) {
    return { status: operationFailed, reason: reasonOf(error, around.version), message: ascii(error.message) };
  }
  const known = storeRefusal(error);
  if (known !== undefined) {
    around.log({ level: "warn", event: "store-refused", reason: (error as Error).message });
    return failed(known, around);
  }
  const correlation = randomUUID();
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  around.log({ level: "error", event: "request-failed", correlation, error: name, message, stack: stack ?? "" });
  return {
    status: operationFailed,
    reason: generalFailure,
    message: `The server failed; its log has the cause under ${correlation}. Try again, or on another node`,
  };
}

/** What the store cannot do now, and what the client can do about it; undefined where only the log can tell. */
function storeRefusal(error: unknown): Refusal | undefined {
  if (!(error instanceof Error) || error.name !== "StoreError") return undefined;
  switch ((error as { readonly code?: unknown }).code) {
    case "tooMany":
      return new Refusal(
        "ResponseTooLarge",
        `The request concerns too many objects (${error.message}): search by more attributes, for example by Name or Object Group`,
        "ServerLimitExceeded",
      );
    case "overloaded":
      return new Refusal("GeneralFailure", "The node has more work than it can do: try again, or on another node");
    case "unavailable":
      return new Refusal("GeneralFailure", "The node cannot reach its database now: try again, or on another node");
    default:
      return undefined;
  }
}

/** PyKMIP reads texts byte by byte and fails on any other sign; some messages repeat what a client named. */
function ascii(text: string): string {
  return text.replace(/[^\x20-\x7e]/gu, "?");
}

/** The best word for a refusal that the version has; 2.x, which no longer says Illegal Operation, is told Permission Denied where nothing finer fits. */
function reasonOf({ code, finer }: Refusal, version: number): number {
  const [plain, modern] = reasons[code];
  const isUsed = finer !== undefined && version >= (usedSince[finer] ?? 0);
  const words = [isUsed ? finerReasons[finer] : undefined, version >= 20 ? modern : undefined, plain];
  return (
    words.find((word) => word !== undefined && knows(enumerations.resultReason, word, version)) ?? permissionDenied
  );
}
