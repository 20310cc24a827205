import { searchedAttribute, searchedAttributes } from "./attributes.ts";
import { enumerations as known } from "./enumerations.ts";
import { byVersion, group, list, one, optional, structure } from "./fields.ts";
import { defaultsInformation } from "./payloads-policy.ts";
import { protocolVersion } from "./protocol-version.ts";
import { anyEnumeration, boolean, enumeration, integer, mapped, natural, text } from "./shape.ts";
import { tag } from "./tags.ts";

/** Locate (4.9). */
export const locate = {
  request: structure({
    maximumItems: optional(tag.MaximumItems, natural),
    offsetItems: optional(tag.OffsetItems, natural, 13),
    storageStatusMask: optional(tag.StorageStatusMask, integer),
    objectGroupMember: optional(tag.ObjectGroupMember, enumeration(known.objectGroupMember), 11),
    attributes: byVersion(
      list(tag.Attribute, searchedAttribute, 10, 20),
      group(tag.Attributes, searchedAttributes, 20),
    ),
  }),
  response: structure({
    locatedItems: optional(tag.LocatedItems, natural, 13),
    uniqueIdentifiers: list(tag.UniqueIdentifier, text),
  }),
};

/** In 1.x it holds what the vendor likes: nothing. */
const serverInformation = structure({
  serverVersion: optional(tag.ServerVersion, text, 20),
  productName: optional(tag.ProductName, text, 20),
});

const rngParameters = structure({
  rngAlgorithm: one(tag.RNGAlgorithm, enumeration(known.rngAlgorithm)),
  cryptographicAlgorithm: optional(tag.CryptographicAlgorithm, enumeration(known.cryptographicAlgorithm)),
  cryptographicLength: optional(tag.CryptographicLength, natural),
  drbgAlgorithm: optional(tag.DRBGAlgorithm, enumeration(known.drbgAlgorithm)),
});

const capabilities = structure({
  streaming: optional(tag.StreamingCapability, boolean),
  asynchronous: optional(tag.AsynchronousCapability, boolean),
  attestation: optional(tag.AttestationCapability, boolean),
  batchUndo: optional(tag.BatchUndoCapability, boolean, 14),
  batchContinue: optional(tag.BatchContinueCapability, boolean, 14),
  destroyAction: optional(tag.DestroyAction, enumeration(known.destroyAction)),
  rngMode: optional(tag.RNGMode, enumeration(known.rngMode)),
  quantumSafe: optional(tag.QuantumSafeCapability, boolean, 20),
});

const storageMasks = mapped(
  structure({ masks: list(tag.ProtectionStorageMask, integer) }),
  ({ masks }) => masks,
  (masks: readonly number[]) => ({ masks }),
);

/** Query (4.25). */
export const query = {
  request: structure({ functions: list(tag.QueryFunction, enumeration(known.queryFunction)) }),
  response: structure({
    operations: list(tag.Operation, enumeration(known.operation)),
    objectTypes: list(tag.ObjectType, enumeration(known.objectType)),
    vendor: optional(tag.VendorIdentification, text),
    serverInformation: optional(tag.ServerInformation, serverInformation),
    rngs: list(tag.RNGParameters, rngParameters, 13),
    profiles: list(tag.ProfileInformation, structure({ name: one(tag.ProfileName, anyEnumeration) }), 13),
    capabilities: list(tag.CapabilityInformation, capabilities, 13),
    registrationMethods: list(tag.ClientRegistrationMethod, enumeration(known.clientRegistrationMethod), 13),
    defaults: optional(tag.DefaultsInformation, defaultsInformation, 20),
    storageMasks: optional(tag.ProtectionStorageMasks, storageMasks, 20),
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
