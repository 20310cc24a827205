import { randomUUID } from "node:crypto";
import { Refusal, type RefusalCode } from "../objects/refusal.ts";
import type { Context } from "../operations/context.ts";
import { knows } from "./enumeration.ts";
import { enumerations } from "./enumerations.ts";
import type { ResponseItem } from "./messages.ts";
import { NotInVersion } from "./shape.ts";

/** KMIP Result Reason of each refusal (9.1.3.2.29). */
const reasons: Readonly<Record<RefusalCode, number>> = {
  ItemNotFound: 0x01,
  ResponseTooLarge: 0x02,
  InvalidMessage: 0x04,
  OperationNotSupported: 0x05,
  MissingData: 0x06,
  InvalidField: 0x07,
  FeatureNotSupported: 0x08,
  CryptographicFailure: 0x0a,
  IllegalOperation: 0x0b,
  PermissionDenied: 0x0c,
  IndexOutOfBounds: 0x0e,
  KeyFormatTypeNotSupported: 0x10,
  KeyCompressionTypeNotSupported: 0x11,
  EncodingOptionError: 0x12,
  KeyValueNotPresent: 0x13,
  Sensitive: 0x16,
  NotExtractable: 0x17,
};

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
    const reason = reasons[error.code];
    const speakable = knows(enumerations.resultReason, reason, around.version) ? reason : permissionDenied;
    return { status: operationFailed, reason: speakable, message: error.message };
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
