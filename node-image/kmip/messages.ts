import { type Item, itemType } from "../ttlv/types.ts";
import { enumerations as known } from "./enumerations.ts";
import { byVersion, list, one, optional, structure } from "./fields.ts";
import { protocolVersion } from "./protocol-version.ts";
import {
  anyEnumeration,
  anyItem,
  boolean,
  bytes,
  dateTime,
  enumeration,
  integer,
  mapped,
  text,
  type ValueOf,
} from "./shape.ts";
import { tag } from "./tags.ts";

/** Whether a client can fetch a result later, or insists on it. */
type Asynchronous = "mandatory" | "optional" | "prohibited";
const asynchronous1 = mapped<boolean, Asynchronous>(
  boolean,
  (able) => (able ? "optional" : "prohibited"),
  (word) => word !== "prohibited",
);
const indicators = ["mandatory", "optional", "prohibited"] as const;
const asynchronous2 = mapped<number, Asynchronous>(
  enumeration(known.asynchronousIndicator),
  (value) => indicators[value - 1] ?? "prohibited",
  (word) => indicators.indexOf(word) + 1,
);

/** Request header (7.1). Fields that change nothing here are read so that they are not unknown. */
export const requestHeader = structure({
  version: one(tag.ProtocolVersion, protocolVersion),
  maximumResponseSize: optional(tag.MaximumResponseSize, integer),
  clientCorrelationValue: optional(tag.ClientCorrelationValue, text),
  serverCorrelationValue: optional(tag.ServerCorrelationValue, text),
  asynchronous: byVersion(
    optional(tag.AsynchronousIndicator, asynchronous1, 10, 20),
    optional(tag.AsynchronousIndicator, asynchronous2, 20),
  ),
  attestationCapableIndicator: optional(tag.AttestationCapableIndicator, boolean),
  attestationTypes: list(tag.AttestationType, anyEnumeration),
  // Who calls is known by the client certificate (8); of credentials only tickets add something and are looked at.
  authentication: optional(tag.Authentication, anyItem),
  batchErrorContinuation: optional(tag.BatchErrorContinuationOption, enumeration(known.batchErrorContinuation)),
  batchOrder: optional(tag.BatchOrderOption, boolean),
  timeStamp: optional(tag.TimeStamp, dateTime),
  batchCount: one(tag.BatchCount, integer),
});

/** The values of a request header. */
export type RequestHeader = ValueOf<typeof requestHeader>;

/** One request of a batch (7.2). */
export const requestItem = structure({
  operation: one(tag.Operation, anyEnumeration),
  ephemeral: optional(tag.Ephemeral, boolean, 20),
  id: optional(tag.UniqueBatchItemID, bytes),
  payload: one(tag.RequestPayload, anyItem),
  extension: list(
    tag.MessageExtension,
    structure({
      vendor: one(tag.VendorIdentification, text),
      critical: one(tag.CriticalityIndicator, boolean),
      content: one(tag.VendorExtension, anyItem),
    }),
  ),
});

const responseHeader = structure({
  version: one(tag.ProtocolVersion, protocolVersion),
  timeStamp: one(tag.TimeStamp, dateTime),
  batchCount: one(tag.BatchCount, integer),
});

const responseItem = structure({
  operation: optional(tag.Operation, anyEnumeration),
  id: optional(tag.UniqueBatchItemID, bytes),
  status: one(tag.ResultStatus, enumeration(known.resultStatus)),
  reason: optional(tag.ResultReason, enumeration(known.resultReason)),
  message: optional(tag.ResultMessage, text),
  correlation: optional(tag.AsynchronousCorrelationValue, bytes),
  payload: optional(tag.ResponsePayload, anyItem),
});

/** One answer of a batch. */
export type ResponseItem = ValueOf<typeof responseItem>;

/** Builds a response message; `timeStamp` in seconds since 1970. A client's correlation value is for logs, it is not sent back (6.18). */
export function responseMessage(
  { version, timeStamp }: { readonly version: number; readonly timeStamp: number },
  items: readonly ResponseItem[],
): Item {
  const parts = { major: Math.floor(version / 10), minor: version % 10 };
  const header = { version: parts, timeStamp, batchCount: items.length };
  return {
    tag: tag.ResponseMessage,
    type: itemType.structure,
    value: [
      responseHeader.write(tag.ResponseHeader, header, version),
      ...items.map((item) => responseItem.write(tag.BatchItem, item, version)),
    ],
  };
}
