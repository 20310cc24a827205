import type { AttributeInstance } from "../objects/attributes.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Item } from "../ttlv/types.ts";
import { attribute } from "./attributes.ts";
import { defaulted, type Field, list, one, structure } from "./fields.ts";
import { anyItem, mapped, type Reading, text } from "./shape.ts";
import { tag } from "./tags.ts";

/** The Unique Identifier of an answer. */
export const uniqueIdentifier = one(tag.UniqueIdentifier, text);

/** The Unique Identifier of a request; left out, it is the one that an earlier item of the batch gave. */
export const placeableIdentifier = defaulted(tag.UniqueIdentifier, text, fromPlaceholder);

function fromPlaceholder({ placeholders }: Reading): string {
  if (placeholders.last === undefined)
    throw new Refusal("InvalidMessage", "Unique Identifier is missing, and no earlier batch item gives one");
  return placeholders.last;
}

const template = structure({ names: list(tag.Name, anyItem), attributes: list(tag.Attribute, attribute) });

/** Attributes in a Template-Attribute (2.1.8). */
const templateAttribute = mapped(
  template,
  ({ names, attributes }) => {
    if (names.length > 0) throw noTemplates();
    return attributes;
  },
  (attributes) => ({ names: [] as readonly Item[], attributes }),
);

function noTemplates(): Refusal {
  return new Refusal(
    "ItemNotFound",
    "Templates are not kept here (deprecated since KMIP 1.3): give the attributes themselves",
  );
}

/** The attributes of a new object; `tagNumber` differs for the common, private and public ones of a key pair. */
export function newAttributes(tagNumber: number = tag.TemplateAttribute): Field<readonly AttributeInstance[]> {
  return { forms: one(tagNumber, templateAttribute).forms.map((form) => ({ ...form, absent: () => [] })) };
}
