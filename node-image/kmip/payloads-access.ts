import { enumerations as known } from "./enumerations.ts";
import { list, one, optional, structure } from "./fields.ts";
import { newAttributes, placeableIdentifier, uniqueIdentifier } from "./payload.ts";
import {
  anyEnumeration,
  bigIntegerText,
  dateTime,
  enumeration,
  integer,
  interval,
  longInteger,
  text,
} from "./shape.ts";
import { tag } from "./tags.ts";

/** Check (4.10). */
export const checkRequest = structure({
  uniqueIdentifier: placeableIdentifier,
  usageLimitsCount: optional(tag.UsageLimitsCount, longInteger),
  cryptographicUsageMask: optional(tag.CryptographicUsageMask, integer),
  leaseTime: optional(tag.LeaseTime, interval),
});

/** Obtain Lease (4.17). */
export const leaseResponse = structure({
  uniqueIdentifier,
  leaseTime: one(tag.LeaseTime, interval),
  lastChangeDate: one(tag.LastChangeDate, dateTime),
});

/** Get Usage Allocation (4.18). */
export const usageAllocationRequest = structure({
  uniqueIdentifier: placeableIdentifier,
  usageLimitsCount: one(tag.UsageLimitsCount, longInteger),
});

const objectType = one(tag.ObjectType, enumeration(known.objectType));
const uniqueIdentifiers = list(tag.UniqueIdentifier, text);

/** Create Split Key (4.38). */
export const createSplitKey = {
  request: structure({
    objectType,
    uniqueIdentifier: optional(tag.UniqueIdentifier, text),
    parts: one(tag.SplitKeyParts, integer),
    threshold: one(tag.SplitKeyThreshold, integer),
    method: one(tag.SplitKeyMethod, enumeration(known.splitKeyMethod)),
    primeFieldSize: optional(tag.PrimeFieldSize, bigIntegerText),
    attributes: newAttributes(),
  }),
  response: structure({ uniqueIdentifiers }),
};

/** Join Split Key (4.39). */
export const joinSplitKeyRequest = structure({
  objectType,
  uniqueIdentifiers,
  secretDataType: optional(tag.SecretDataType, anyEnumeration),
  attributes: newAttributes(),
});
