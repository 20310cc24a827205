import { attribute, attributes } from "./attributes.ts";
import { enumerations as known } from "./enumerations.ts";
import { byVersion, group, list, optional, structure } from "./fields.ts";
import { protocolVersion } from "./protocol-version.ts";
import { enumeration, integer, mapped, text } from "./shape.ts";
import { tag } from "./tags.ts";

/** Locate (4.9). */
export const locate = {
  request: structure({
    maximumItems: optional(tag.MaximumItems, integer),
    offsetItems: optional(tag.OffsetItems, integer, 13),
    storageStatusMask: optional(tag.StorageStatusMask, integer),
    objectGroupMember: optional(tag.ObjectGroupMember, enumeration(known.objectGroupMember), 11),
    attributes: byVersion(list(tag.Attribute, attribute, 10, 20), group(tag.Attributes, attributes, 20)),
  }),
  response: structure({
    locatedItems: optional(tag.LocatedItems, integer, 13),
    uniqueIdentifiers: list(tag.UniqueIdentifier, text),
  }),
};

/** Query (4.25). */
export const query = {
  request: structure({ functions: list(tag.QueryFunction, enumeration(known.queryFunction)) }),
  response: structure({
    operations: list(tag.Operation, enumeration(known.operation)),
    objectTypes: list(tag.ObjectType, enumeration(known.objectType)),
    vendor: optional(tag.VendorIdentification, text),
  }),
};

const versionNumber = mapped(
  protocolVersion,
  ({ major, minor }) => major * 10 + minor,
  (version) => ({ major: Math.floor(version / 10), minor: version % 10 }),
);

/** Discover Versions (4.26). */
export const discoverVersions = {
  request: structure({ versions: list(tag.ProtocolVersion, versionNumber) }),
  response: structure({ versions: list(tag.ProtocolVersion, versionNumber) }),
};
