import { Refusal } from "../objects/refusal.ts";
import type { DelegatedLoginRequest } from "../operations/ticket.ts";
import type { Item } from "../ttlv/types.ts";
import { enumerations as known } from "./enumerations.ts";
import { list, one, optional, structure } from "./fields.ts";
import { newAttributes, placeableIdentifier, uniqueIdentifier } from "./payload.ts";
import {
  anyEnumeration,
  anyItem,
  bigIntegerText,
  bytes,
  dateTime,
  enumeration,
  integer,
  interval,
  longInteger,
  mapped,
  natural,
  type Reading,
  type Shape,
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
    parts: one(tag.SplitKeyParts, natural),
    threshold: one(tag.SplitKeyThreshold, natural),
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

const ticket = structure({
  type: one(tag.TicketType, enumeration(known.ticketType)),
  value: one(tag.TicketValue, bytes),
});
const limits = {
  leaseTime: optional(tag.LeaseTime, interval),
  requestCount: optional(tag.RequestCount, natural),
  usageLimits: optional(tag.UsageLimits, anyItem),
};
const operationName: Shape<string> = mapped(
  enumeration(known.operation),
  (value) => known.operation.names.get(value) ?? "",
  () => 0,
);
const right = structure({
  usageLimits: optional(tag.UsageLimits, anyItem),
  operations: optional(tag.Operations, structure({ list: list(tag.Operation, operationName) })),
  objects: optional(tag.Objects, structure({ list: list(tag.UniqueIdentifier, text) })),
});

/** Login and its answer (KMIP 2.1, 6.1). */
export const login = { request: structure(limits), response: structure({ ticket: one(tag.Ticket, ticket) }) };

const delegated = structure({ ...limits, rights: one(tag.Rights, structure({ list: list(tag.Right, right) })) });

/** Delegated Login (KMIP 2.1, 6.1). */
export const delegatedLoginRequest: Pick<Shape<DelegatedLoginRequest>, "read"> = {
  read: (item, reading) => {
    const { rights, ...rest } = delegated.read(item, reading);
    const limited = rights.list.find(({ usageLimits }) => usageLimits !== undefined);
    const read = rights.list.map(({ operations, objects }) => ({
      operations: operations?.list ?? [],
      ...(objects === undefined ? {} : { objects: objects.list }),
    }));
    return { ...rest, ...(limited === undefined ? {} : { usageLimits: limited.usageLimits }), rights: read };
  },
};

/** Logout (KMIP 2.1, 6.1). */
export const logoutRequest: Pick<Shape<{ readonly ticket: Buffer }>, "read"> = {
  read: (item, reading) => ({
    ticket: structure({ ticket: one(tag.Ticket, ticket) }).read(item, reading).ticket.value,
  }),
};

const credential = structure({
  type: one(tag.CredentialType, anyEnumeration),
  value: one(tag.CredentialValue, anyItem),
});
const credentials = structure({ list: list(tag.Credential, credential) });
const ticketCredential = 6;

/** The value of the ticket among the credentials of a header, if there is one; other credentials add nothing. */
export function ticketIn(authentication: Item, reading: Reading): Buffer | undefined {
  const found = credentials.read(authentication, reading).list.filter(({ type }) => type === ticketCredential);
  const [first, ...more] = found;
  if (more.length > 0) throw new Refusal("InvalidMessage", "Only one ticket is taken at a time");
  return first === undefined ? undefined : ticket.read(first.value, reading).value;
}
