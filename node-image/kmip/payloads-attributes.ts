import { attribute } from "./attributes.ts";
import { list, one, optional, structure } from "./fields.ts";
import { placeableIdentifier, uniqueIdentifier } from "./payload.ts";
import { integer, text } from "./shape.ts";
import { tag } from "./tags.ts";

const names = list(tag.AttributeName, text);

/** Get Attributes (4.12). */
export const getAttributes = {
  request: structure({ uniqueIdentifier: placeableIdentifier, names }),
  response: structure({ uniqueIdentifier, attributes: list(tag.Attribute, attribute) }),
};

/** Get Attribute List (4.13). */
export const getAttributeList = {
  request: structure({ uniqueIdentifier: placeableIdentifier }),
  response: structure({ uniqueIdentifier, names }),
};

/** Add Attribute and Modify Attribute (4.14, 4.15); Delete Attribute (4.16) is answered alike. */
export const changeAttribute = {
  request: structure({ uniqueIdentifier: placeableIdentifier, attribute: one(tag.Attribute, attribute) }),
  response: structure({ uniqueIdentifier, attribute: one(tag.Attribute, attribute) }),
};

/** Delete Attribute (4.16). */
export const deleteAttributeRequest = structure({
  uniqueIdentifier: placeableIdentifier,
  name: one(tag.AttributeName, text),
  index: optional(tag.AttributeIndex, integer),
});
