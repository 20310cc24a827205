import { Refusal } from "../objects/refusal.ts";
import type { GetRequest, GetResponse } from "../operations/get.ts";
import type { RegisterRequest } from "../operations/register.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { enumerations as known } from "./enumerations.ts";
import { defaulted, one, optional, structure } from "./fields.ts";
import { fromPlaceholder, identifier } from "./identifier.ts";
import { objectTag, readObject, writeObject } from "./key-block.ts";
import { keyWrappingSpecification } from "./key-wrapping.ts";
import { newAttributes, placeableIdentifier, uniqueIdentifier } from "./payload.ts";
import { anyEnumeration, enumeration, interval, type Shape, text } from "./shape.ts";
import { tag } from "./tags.ts";

const objectType = one(tag.ObjectType, enumeration(known.objectType));

/** Create (4.1). */
export const create = {
  request: structure({ objectType, attributes: newAttributes() }),
  response: structure({ objectType, uniqueIdentifier }),
};

const register = structure({ objectType, attributes: newAttributes() });
const objectTags = new Set(Object.values(objectTag));

/** Register (4.3). */
export const registerRequest: Pick<Shape<RegisterRequest>, "read"> = {
  read: (payload, reading) => {
    const children = payload.type === itemType.structure ? payload.value : [];
    const objects = children.filter((child) => objectTags.has(child.tag));
    const rest = { ...payload, value: children.filter((child) => !objectTags.has(child.tag)) } as Item;
    const { objectType: type, attributes } = register.read(rest, reading);
    const [object, ...more] = objects;
    if (object === undefined || more.length > 0 || object.tag !== objectTag[type]) {
      throw new Refusal("InvalidField", "The request must hold exactly one object, of the type that Object Type says");
    }
    const { material, attributes: inKeyValue } = readObject(type, object, reading);
    return { objectType: type, material, attributes: [...attributes, ...inKeyValue] };
  },
};

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
