import { enumerations as known } from "./enumerations.ts";
import { one, optional, structure } from "./fields.ts";
import { placeableIdentifier, uniqueIdentifier } from "./payload.ts";
import { dateTime, enumeration, text } from "./shape.ts";
import { tag } from "./tags.ts";

/** A request that names an object and nothing else. */
export const identifiedRequest = structure({ uniqueIdentifier: placeableIdentifier });
/** An answer that names an object and nothing else. */
export const identifiedResponse = structure({ uniqueIdentifier });

/** Revoke (4.20). */
export const revokeRequest = structure({
  uniqueIdentifier: placeableIdentifier,
  reason: one(
    tag.RevocationReason,
    structure({
      code: one(tag.RevocationReasonCode, enumeration(known.revocationReasonCode)),
      message: optional(tag.RevocationMessage, text),
    }),
  ),
  compromiseOccurrenceDate: optional(tag.CompromiseOccurrenceDate, dateTime),
});
