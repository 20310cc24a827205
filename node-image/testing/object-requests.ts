import { tag } from "../kmip/tags.ts";
import type { Item } from "../ttlv/types.ts";
import { attributeItem, item, template } from "./items.ts";

const id = (value: string) => item.text(tag.UniqueIdentifier, value);
/** Names no object, where a request needs a second one. */
const absent = "00000000-0000-4000-8000-00000000beef";
const aes = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, "Cryptographic Usage Mask": 12 };

/** What a request of the operation carries (its fields for the object `target`), so that it is looked for. */
export function requestOn(name: string, target: string): readonly Item[] {
  return forms[name]?.(target) ?? [id(target), ...(details[name] ?? [])];
}

/** What a request of each operation carries besides the identifier; an operation without a row gets the identifier alone. */
const details: Readonly<Record<string, readonly Item[]>> = {
  "Add Attribute": [attributeItem("Contact Information", "stranger")],
  "Modify Attribute": [attributeItem("Cryptographic Usage Mask", 3)],
  "Delete Attribute": [item.text(tag.AttributeName, "Name")],
  Revoke: [item.structure(tag.RevocationReason, item.enumeration(tag.RevocationReasonCode, 2))],
  Encrypt: [item.bytes(tag.Data, Buffer.alloc(16))],
  Decrypt: [item.bytes(tag.Data, Buffer.alloc(48))],
  MAC: [item.bytes(tag.Data, Buffer.alloc(16))],
  "MAC Verify": [item.bytes(tag.Data, Buffer.alloc(16)), item.bytes(tag.MACData, Buffer.alloc(32))],
  Sign: [item.bytes(tag.Data, Buffer.alloc(16))],
  "Signature Verify": [item.bytes(tag.Data, Buffer.alloc(16)), item.bytes(tag.SignatureData, Buffer.alloc(64))],
  "Get Usage Allocation": [item.longInteger(tag.UsageLimitsCount, 1n)],
  "Set Attribute": [item.structure(tag.NewAttribute, item.text(tag.Comment, "stranger"))],
  "Adjust Attribute": [
    item.enumeration(tag.AttributeReference, tag.Sensitive),
    item.enumeration(tag.AdjustmentType, 3),
  ],
};

/** Requests that do not begin with the Unique Identifier of the object. */
const forms: Readonly<Record<string, (target: string) => readonly Item[]>> = {
  "Re-key Key Pair": (target) => [item.text(tag.PrivateKeyUniqueIdentifier, target)],
  "Derive Key": (target) => [
    item.enumeration(tag.ObjectType, 2),
    id(target),
    item.enumeration(tag.DerivationMethod, 2),
    item.structure(
      tag.DerivationParameters,
      item.structure(tag.CryptographicParameters, item.enumeration(tag.HashingAlgorithm, 6)),
    ),
    template(aes),
  ],
  "Create Split Key": (target) => [
    item.enumeration(tag.ObjectType, 5),
    id(target),
    item.integer(tag.SplitKeyParts, 3),
    item.integer(tag.SplitKeyThreshold, 2),
    item.enumeration(tag.SplitKeyMethod, 4),
  ],
  "Join Split Key": (target) => [item.enumeration(tag.ObjectType, 2), id(target), id(absent), template(aes)],
};

/** Operations whose requests name no object that is there. */
export const withoutObject = new Set(
  "Create, Create Key Pair, Register, Import, Locate, Query, Discover Versions, RNG Retrieve, RNG Seed, Hash, Login, Logout, Delegated Login, Cancel, Poll, Query Asynchronous Requests, Process, Set Defaults, Set Constraints, Get Constraints, Log, Set Endpoint Role, PKCS#11, Interop, Ping".split(
    ", ",
  ),
);
