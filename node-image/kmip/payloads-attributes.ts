import { Refusal } from "../objects/refusal.ts";
import type { ChangeAttributeRequest, DeleteAttributeRequest } from "../operations/change-attributes.ts";
import type { AdjustAttributeRequest } from "../operations/set-attribute.ts";
import { attribute, attributeReference, attributes, singleAttribute } from "./attributes.ts";
import { enumerations as known } from "./enumerations.ts";
import { byVersion, list, one, optional, structure } from "./fields.ts";
import { placeableIdentifier, uniqueIdentifier } from "./payload.ts";
import { anyItem, enumeration, integer, type Shape, text } from "./shape.ts";
import { tag } from "./tags.ts";

const names = byVersion(list(tag.AttributeName, text, 10, 20), list(tag.AttributeReference, attributeReference, 20));

/** Get Attributes (4.12). */
export const getAttributes = {
  request: structure({ uniqueIdentifier: placeableIdentifier, names }),
  response: structure({
    uniqueIdentifier,
    attributes: byVersion(list(tag.Attribute, attribute, 10, 20), one(tag.Attributes, attributes, 20)),
  }),
};

/** Get Attribute List (4.13). */
export const getAttributeList = {
  request: structure({ uniqueIdentifier: placeableIdentifier }),
  response: structure({ uniqueIdentifier, names }),
};

const change = structure({
  uniqueIdentifier: placeableIdentifier,
  current: optional(tag.CurrentAttribute, singleAttribute, 20),
  attribute: byVersion(one(tag.Attribute, attribute, 10, 20), one(tag.NewAttribute, singleAttribute, 20)),
});

/** Add, Modify and Set Attribute (4.14, 4.15; 2.1, 6.1.54); Delete Attribute (4.16) is answered alike. */
export const changeAttribute = {
  request: change satisfies Shape<ChangeAttributeRequest>,
  response: structure({
    uniqueIdentifier,
    attribute: optional(tag.Attribute, attribute, 10, 20),
  }),
};

const deleting = structure({
  uniqueIdentifier: placeableIdentifier,
  name: optional(tag.AttributeName, text, 10, 20),
  index: optional(tag.AttributeIndex, integer, 10, 20),
  current: optional(tag.CurrentAttribute, singleAttribute, 20),
  reference: optional(tag.AttributeReference, attributeReference, 20),
});

/** Delete Attribute (4.16; 2.1, 6.1.14). */
export const deleteAttributeRequest: Pick<Shape<DeleteAttributeRequest>, "read"> = {
  read: (payload, reading) => {
    const { uniqueIdentifier: id, name, index, current, reference } = deleting.read(payload, reading);
    const wanted = current?.name ?? reference ?? name;
    if (wanted === undefined || (current !== undefined && reference !== undefined && reference !== current.name))
      throw new Refusal("InvalidMessage", "Say which attribute is to be deleted, once");
    return {
      uniqueIdentifier: id,
      name: wanted,
      ...(index === undefined ? {} : { index }),
      ...(current === undefined ? {} : { current: current.value }),
    };
  },
};

const adjusting = structure({
  uniqueIdentifier: placeableIdentifier,
  name: one(tag.AttributeReference, attributeReference),
  adjustment: one(tag.AdjustmentType, enumeration(known.adjustmentType)),
  by: optional(tag.AdjustmentValue, anyItem),
});

/** Adjust Attribute (2.1, 6.1.3). */
export const adjustAttributeRequest: Pick<Shape<AdjustAttributeRequest>, "read"> = {
  read: (payload, reading) => {
    const { by, ...rest } = adjusting.read(payload, reading);
    if (by === undefined) return rest;
    if (typeof by.value !== "number" && typeof by.value !== "bigint")
      throw new Refusal("InvalidField", "Adjustment Value is not a number", "InvalidDataType");
    return { ...rest, by: BigInt(by.value) };
  },
};
