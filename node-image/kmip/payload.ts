import type { AttributeInstance } from "../objects/attributes.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Item } from "../ttlv/types.ts";
import { attribute, attributes } from "./attributes.ts";
import { byVersion, defaulted, type Field, group, list, one, structure } from "./fields.ts";
import { fromPlaceholder, identifier } from "./identifier.ts";
import { anyItem, mapped, text } from "./shape.ts";
import { tag } from "./tags.ts";

/** The Unique Identifier of an answer. */
export const uniqueIdentifier = one(tag.UniqueIdentifier, text);

/** The Unique Identifier of a request; left out, it is the one that an earlier item of the batch gave. */
export const placeableIdentifier = defaulted(tag.UniqueIdentifier, identifier, fromPlaceholder);

const template = structure({ names: list(tag.Name, anyItem), attributes: list(tag.Attribute, attribute) });

/** Attributes in a Template-Attribute (2.1.8). */
const templateAttribute = mapped(
  template,
  ({ names, attributes: instances }) => {
    if (names.length > 0) throw noTemplates();
    return instances;
  },
  (instances) => ({ names: [] as readonly Item[], attributes: instances }),
);

function noTemplates(): Refusal {
  return new Refusal(
    "ItemNotFound",
    "Templates are not kept here (deprecated since KMIP 1.3): give the attributes themselves",
  );
}

/** Where 2.x has what stood in a Template-Attribute. */
const attributesTag: Readonly<Record<number, number>> = {
  [tag.TemplateAttribute]: tag.Attributes,
  [tag.CommonTemplateAttribute]: tag.CommonAttributes,
  [tag.PrivateKeyTemplateAttribute]: tag.PrivateKeyAttributes,
  [tag.PublicKeyTemplateAttribute]: tag.PublicKeyAttributes,
};

/** The attributes of a new object; `tagNumber` is the 1.x tag, which differs for the common, private and public ones of a key pair. */
export function newAttributes(tagNumber: number = tag.TemplateAttribute): Field<readonly AttributeInstance[]> {
  return byVersion(
    group(tagNumber, templateAttribute, 10, 20),
    group(attributesTag[tagNumber] ?? tag.Attributes, attributes, 20),
  );
}
