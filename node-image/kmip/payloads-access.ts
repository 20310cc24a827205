import { one, optional, structure } from "./fields.ts";
import { placeableIdentifier, uniqueIdentifier } from "./payload.ts";
import { dateTime, integer, interval, longInteger } from "./shape.ts";
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
