import { Refusal } from "../objects/refusal.ts";
import type { ExportResponse } from "../operations/export.ts";
import type { GetRequest, GetResponse } from "../operations/get.ts";
import type { RegisterRequest } from "../operations/register.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { attribute, attributes } from "./attributes.ts";
import { knows } from "./enumeration.ts";
import { enumerations as known } from "./enumerations.ts";
import { byVersion, defaulted, group, list, one, optional, structure } from "./fields.ts";
import { fromPlaceholder, identifier } from "./identifier.ts";
import { objectTag, readObject, writeObject } from "./key-block.ts";
import { keyWrappingSpecification } from "./key-wrapping.ts";
import { newAttributes, placeableIdentifier, uniqueIdentifier } from "./payload.ts";
import { anyEnumeration, boolean, enumeration, interval, type Shape, text } from "./shape.ts";
import { tag } from "./tags.ts";

const objectType = one(tag.ObjectType, enumeration(known.objectType));

/** Create (4.1). */
export const create = {
  request: structure({ objectType, attributes: newAttributes() }),
  response: structure({ objectType, uniqueIdentifier }),
};

const objectTags = new Set(Object.values(objectTag));

interface Brought {
  readonly objectType: number;
  readonly attributes: RegisterRequest["attributes"];
}

/** A payload of named fields and one object, of the type that Object Type says. */
function withObject<Fields extends Brought>(
  fields: Pick<Shape<Fields>, "read">,
): Pick<Shape<Fields & RegisterRequest>, "read"> {
  return {
    read: (payload, reading) => {
      const children = payload.type === itemType.structure ? payload.value : [];
      const objects = children.filter((child) => objectTags.has(child.tag));
      const rest = { ...payload, value: children.filter((child) => !objectTags.has(child.tag)) } as Item;
      const read = fields.read(rest, reading);
      if (!knows(known.objectType, read.objectType, reading.version))
        throw new Refusal(
          "InvalidField",
          "This Object Type does not exist in this protocol version",
          "InvalidObjectType",
        );
      const [object, ...more] = objects;
      if (object === undefined || more.length > 0 || object.tag !== objectTag[read.objectType]) {
        throw new Refusal(
          "InvalidField",
          "The request must hold exactly one object, of the type that Object Type says",
        );
      }
      const found = readObject(read.objectType, object, reading);
      return { ...read, material: found.material, attributes: [...read.attributes, ...found.attributes] };
    },
  };
}

/** Register (4.3). */
export const registerRequest = withObject<Brought>(structure({ objectType, attributes: newAttributes() }));

const listedAttributes = byVersion(list(tag.Attribute, attribute, 10, 20), group(tag.Attributes, attributes, 20));

/** Import (1.4, 4.42). */
export const importRequest = withObject(
  structure({
    uniqueIdentifier: one(tag.UniqueIdentifier, identifier),
    objectType,
    replaceExisting: optional(tag.ReplaceExisting, boolean),
    keyWrapType: optional(tag.KeyWrapType, enumeration(known.keyWrapType)),
    attributes: listedAttributes,
  }),
);

/** Get (4.11). */
export const getRequest: Pick<Shape<GetRequest>, "read"> = structure({
  uniqueIdentifier: placeableIdentifier,
  keyFormatType: optional(tag.KeyFormatType, enumeration(known.keyFormatType)),
  keyWrapType: optional(tag.KeyWrapType, anyEnumeration, 14),
  keyCompressionType: optional(tag.KeyCompressionType, enumeration(known.keyCompressionType)),
  wrapping: optional(tag.KeyWrappingSpecification, keyWrappingSpecification),
});
const getHead = structure({ objectType, uniqueIdentifier });
/** The object itself follows the named fields. */
export const getResponse: Pick<Shape<GetResponse>, "write"> = {
  write: (tagNumber, response, version) => {
    const head = getHead.write(tagNumber, response, version);
    const object = writeObject(response.objectType, response.material, version);
    return { ...head, value: [...(head.value as readonly Item[]), object] } as Item;
  },
};

const exportHead = structure({ objectType, uniqueIdentifier, attributes: listedAttributes });
/** Export (1.4, 4.43): the object follows its attributes. */
export const exportResponse: Pick<Shape<ExportResponse>, "write"> = {
  write: (tagNumber, response, version) => {
    const head = exportHead.write(tagNumber, response, version);
    const object = writeObject(response.objectType, response.material, version);
    return { ...head, value: [...(head.value as readonly Item[]), object] } as Item;
  },
};

const pairRequest = {
  common: newAttributes(tag.CommonTemplateAttribute),
  privateKey: newAttributes(tag.PrivateKeyTemplateAttribute),
  publicKey: newAttributes(tag.PublicKeyTemplateAttribute),
};
const pairResponse = structure({
  privateKeyUniqueIdentifier: one(tag.PrivateKeyUniqueIdentifier, text),
  publicKeyUniqueIdentifier: one(tag.PublicKeyUniqueIdentifier, text),
});

/** Create Key Pair (4.2). */
export const createKeyPair = { request: structure(pairRequest), response: pairResponse };

const offset = optional(tag.Offset, interval);

/** Re-key (4.4). */
export const reKey = {
  request: structure({ uniqueIdentifier: placeableIdentifier, offset, attributes: newAttributes() }),
  response: structure({ uniqueIdentifier }),
};

/** Re-key Key Pair (4.5). */
export const reKeyKeyPair = {
  request: structure({
    privateKeyUniqueIdentifier: defaulted(tag.PrivateKeyUniqueIdentifier, identifier, fromPlaceholder),
    offset,
    ...pairRequest,
  }),
  response: pairResponse,
};
