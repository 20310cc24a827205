import type { AttributeInstance } from "../objects/attributes.ts";
import { Refusal } from "../objects/refusal.ts";
import type {
  ChangeAttributeRequest,
  ChangeAttributeResponse,
  DeleteAttributeRequest,
} from "../operations/change-attributes.ts";
import type { CreateRequest, CreateResponse } from "../operations/create.ts";
import type { GetRequest, GetResponse } from "../operations/get.ts";
import type {
  GetAttributeListResponse,
  GetAttributesRequest,
  GetAttributesResponse,
} from "../operations/get-attributes.ts";
import type { IdentifiedRequest, IdentifiedResponse, RevokeRequest } from "../operations/lifecycle.ts";
import type { LocateRequest, LocateResponse } from "../operations/locate.ts";
import type {
  DiscoverVersionsRequest,
  DiscoverVersionsResponse,
  QueryRequest,
  QueryResponse,
} from "../operations/query.ts";
import type { RegisterRequest, RegisterResponse } from "../operations/register.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { attribute } from "./attributes.ts";
import { enumerations as known } from "./enumerations.ts";
import { objectTag, readObject, writeObject } from "./key-block.ts";
import { anyItem, dateTime, enumeration, integer, list, one, optional, structure, text } from "./shape.ts";
import { tag } from "./tags.ts";

/** Reads a request payload; `placeholder` is the batch's last identifier, used where the payload names none (4, "ID Placeholder"). */
export type Reader<Request> = (payload: Item, placeholder: string | undefined) => Request;
/** Writes a response payload for a protocol version. */
export type Writer<Response> = (response: Response, version: number) => Item;

const responseTag = tag.ResponsePayload;
const uniqueIdentifier = one(tag.UniqueIdentifier, text);
const placeableIdentifier = optional(tag.UniqueIdentifier, text);

function identified(given: string | undefined, placeholder: string | undefined): string {
  const id = given ?? placeholder;
  if (id === undefined)
    throw new Refusal("InvalidMessage", "Unique Identifier is missing, and no earlier batch item gives one");
  return id;
}

const templateAttribute = structure({ names: list(tag.Name, anyItem), attributes: list(tag.Attribute, attribute) });

function attributesOf(template: { names: readonly Item[]; attributes: readonly AttributeInstance[] } | undefined) {
  if (template !== undefined && template.names.length > 0) {
    throw new Refusal(
      "ItemNotFound",
      "Templates are not kept here (deprecated since KMIP 1.3): give the attributes themselves",
    );
  }
  return template?.attributes ?? [];
}

const create = structure({
  objectType: one(tag.ObjectType, enumeration(known.objectType)),
  template: one(tag.TemplateAttribute, templateAttribute),
});
const createResponse = structure({ objectType: one(tag.ObjectType, enumeration(known.objectType)), uniqueIdentifier });
/** Reads a Create request (4.1). */
export const readCreate: Reader<CreateRequest> = (payload) => {
  const { objectType, template } = create.read(payload);
  return { objectType, attributes: attributesOf(template) };
};
/** Writes a Create answer (4.1). */
export const writeCreate: Writer<CreateResponse> = (response, version) =>
  createResponse.write(responseTag, response, version);

const register = structure({
  objectType: one(tag.ObjectType, enumeration(known.objectType)),
  template: optional(tag.TemplateAttribute, templateAttribute),
});
const objectTags = new Set(Object.values(objectTag));
/** Reads a Register request (4.3). */
export const readRegister: Reader<RegisterRequest> = (payload) => {
  const children = payload.type === itemType.structure ? payload.value : [];
  const objects = children.filter((child) => objectTags.has(child.tag));
  const rest = { ...payload, value: children.filter((child) => !objectTags.has(child.tag)) } as Item;
  const { objectType, template } = register.read(rest);
  const [object, ...more] = objects;
  if (object === undefined || more.length > 0 || object.tag !== objectTag[objectType]) {
    throw new Refusal("InvalidField", "The request must hold exactly one object, of the type that Object Type says");
  }
  const { material, attributes } = readObject(objectType, object);
  return { objectType, material, attributes: [...attributesOf(template), ...attributes] };
};

const identifiedResponse = structure({ uniqueIdentifier });
/** Writes an answer that names an object and nothing else. */
export const writeIdentified: Writer<IdentifiedResponse | RegisterResponse> = (response, version) =>
  identifiedResponse.write(responseTag, response, version);

const identifiedRequest = structure({ uniqueIdentifier: placeableIdentifier });
/** Reads a request that names an object and nothing else. */
export const readIdentified: Reader<IdentifiedRequest> = (payload, placeholder) => ({
  uniqueIdentifier: identified(identifiedRequest.read(payload).uniqueIdentifier, placeholder),
});

const get = structure({
  uniqueIdentifier: placeableIdentifier,
  keyFormatType: optional(tag.KeyFormatType, enumeration(known.keyFormatType)),
  keyWrapType: optional(tag.KeyWrapType, anyItem, 14),
  keyCompressionType: optional(tag.KeyCompressionType, enumeration(known.keyCompressionType)),
  wrapping: optional(tag.KeyWrappingSpecification, anyItem),
});
/** Reads a Get request (4.11). */
export const readGet: Reader<GetRequest> = (payload, placeholder) => {
  const { wrapping, keyWrapType, ...rest } = get.read(payload);
  // Key Wrap Type 1 is "Not Wrapped" (9.1.3.2.48), which is what is given anyway.
  const wrapped = wrapping !== undefined || (keyWrapType !== undefined && keyWrapType.value !== 1);
  return { ...rest, uniqueIdentifier: identified(rest.uniqueIdentifier, placeholder), wrapped };
};
const getResponse = structure({
  objectType: one(tag.ObjectType, enumeration(known.objectType)),
  uniqueIdentifier,
});
/** Writes a Get answer (4.11). */
export const writeGet: Writer<GetResponse> = (response, version) => {
  const head = getResponse.write(responseTag, response, version);
  const object = writeObject(response.objectType, response.material, version);
  return { ...head, value: [...(head.value as readonly Item[]), object] } as Item;
};

const locate = structure({
  maximumItems: optional(tag.MaximumItems, integer),
  offsetItems: optional(tag.OffsetItems, integer, 13),
  storageStatusMask: optional(tag.StorageStatusMask, integer),
  objectGroupMember: optional(tag.ObjectGroupMember, enumeration(known.objectGroupMember), 11),
  attributes: list(tag.Attribute, attribute),
});
const locateResponse = structure({
  locatedItems: optional(tag.LocatedItems, integer, 13),
  uniqueIdentifiers: list(tag.UniqueIdentifier, text),
});
/** Reads a Locate request (4.9). */
export const readLocate: Reader<LocateRequest> = (payload) => locate.read(payload);
/** Writes a Locate answer (4.9). */
export const writeLocate: Writer<LocateResponse> = (response, version) =>
  locateResponse.write(responseTag, response, version);

const getAttributes = structure({ uniqueIdentifier: placeableIdentifier, names: list(tag.AttributeName, text) });
const getAttributesResponse = structure({ uniqueIdentifier, attributes: list(tag.Attribute, attribute) });
const getAttributeListResponse = structure({ uniqueIdentifier, names: list(tag.AttributeName, text) });
/** Reads a Get Attributes request (4.12). */
export const readGetAttributes: Reader<GetAttributesRequest> = (payload, placeholder) => {
  const { uniqueIdentifier: id, names } = getAttributes.read(payload);
  return { uniqueIdentifier: identified(id, placeholder), names };
};
/** Writes a Get Attributes answer (4.12). */
export const writeGetAttributes: Writer<GetAttributesResponse> = (response, version) =>
  getAttributesResponse.write(responseTag, response, version);
/** Writes a Get Attribute List answer (4.13). */
export const writeGetAttributeList: Writer<GetAttributeListResponse> = (response, version) =>
  getAttributeListResponse.write(responseTag, response, version);

const changeAttribute = structure({ uniqueIdentifier: placeableIdentifier, attribute: one(tag.Attribute, attribute) });
const changeAttributeResponse = structure({ uniqueIdentifier, attribute: one(tag.Attribute, attribute) });
/** Reads an Add Attribute or Modify Attribute request (4.14, 4.15). */
export const readChangeAttribute: Reader<ChangeAttributeRequest> = (payload, placeholder) => {
  const { uniqueIdentifier: id, attribute: changed } = changeAttribute.read(payload);
  return { uniqueIdentifier: identified(id, placeholder), attribute: changed };
};
/** Writes the answer of Add, Modify and Delete Attribute (4.14–4.16). */
export const writeChangeAttribute: Writer<ChangeAttributeResponse> = (response, version) =>
  changeAttributeResponse.write(responseTag, response, version);

const deleteAttribute = structure({
  uniqueIdentifier: placeableIdentifier,
  name: one(tag.AttributeName, text),
  index: optional(tag.AttributeIndex, integer),
});
/** Reads a Delete Attribute request (4.16). */
export const readDeleteAttribute: Reader<DeleteAttributeRequest> = (payload, placeholder) => {
  const request = deleteAttribute.read(payload);
  return { ...request, uniqueIdentifier: identified(request.uniqueIdentifier, placeholder) };
};

const revoke = structure({
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
/** Reads a Revoke request (4.20). */
export const readRevoke: Reader<RevokeRequest> = (payload, placeholder) => {
  const request = revoke.read(payload);
  return { ...request, uniqueIdentifier: identified(request.uniqueIdentifier, placeholder) };
};

const query = structure({ functions: list(tag.QueryFunction, enumeration(known.queryFunction)) });
const queryResponse = structure({
  operations: list(tag.Operation, enumeration(known.operation)),
  objectTypes: list(tag.ObjectType, enumeration(known.objectType)),
  vendor: optional(tag.VendorIdentification, text),
});
/** Reads a Query request (4.25). */
export const readQuery: Reader<QueryRequest> = (payload) => query.read(payload);
/** Writes a Query answer (4.25). */
export const writeQuery: Writer<QueryResponse> = (response, version) =>
  queryResponse.write(responseTag, response, version);

/** A protocol version as major × 10 + minor. */
export const protocolVersion = structure({
  major: one(tag.ProtocolVersionMajor, integer),
  minor: one(tag.ProtocolVersionMinor, integer),
});
const discoverVersions = structure({ versions: list(tag.ProtocolVersion, protocolVersion) });
/** Reads a Discover Versions request (4.26). */
export const readDiscoverVersions: Reader<DiscoverVersionsRequest> = (payload) => ({
  versions: discoverVersions.read(payload).versions.map(({ major, minor }) => major * 10 + minor),
});
/** Writes a Discover Versions answer (4.26). */
export const writeDiscoverVersions: Writer<DiscoverVersionsResponse> = ({ versions }, version) =>
  discoverVersions.write(
    responseTag,
    { versions: versions.map((each) => ({ major: Math.floor(each / 10), minor: each % 10 })) },
    version,
  );
