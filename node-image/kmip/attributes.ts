import { isCustom, vendorAttributeName, vendorOf } from "../objects/attribute-rules.ts";
import type { AttributeInstance } from "../objects/attributes.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Json } from "../objects/types.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { attributeShapes, shapeOf } from "./attribute-shapes.ts";
import { one, optional, structure } from "./fields.ts";
import { anyItem, expect, integer, NotInVersion, type Reading, type Shape, text } from "./shape.ts";
import { tag, tagName } from "./tags.ts";

/** A value in a Locate or Delete may be absent; names that no version knows are refused by the operation, which knows why. */
const wire = structure({
  name: one(tag.AttributeName, text),
  index: optional(tag.AttributeIndex, integer),
  value: optional(tag.AttributeValue, anyItem),
});

/** One instance of an attribute, KMIP 1.x (2.1.1). */
export const attribute: Shape<AttributeInstance> = {
  read: (item, reading) => readIndexed(item, reading, readValue),
  write: (tagNumber, { name, index, value }, version) => {
    const item = (shapeOf(name) ?? text).write(tag.AttributeValue, value as never, version);
    return wire.write(tagNumber, { name, ...(index === undefined ? {} : { index }), value: item }, version);
  },
};

function readIndexed(item: Item, reading: Reading, readOne: typeof readValue): AttributeInstance {
  const { name, index, value } = wire.read(item, reading);
  if (value === undefined) throw new Refusal("InvalidField", "An Attribute has no Attribute Value");
  return { name, ...(index === undefined ? {} : { index }), value: readOne(name, value, reading) };
}

const tagOfName: ReadonlyMap<string, number> = new Map(
  Object.keys(attributeShapes).map((name) => [name, tag[name.replace(/[^A-Za-z0-9]/g, "") as keyof typeof tag]]),
);
const nameOfTag: ReadonlyMap<number, string> = new Map([...tagOfName].map(([name, number]) => [number, name]));

/** KMIP 2.1, 4.63. */
const vendorAttribute = structure({
  vendor: one(tag.VendorIdentification, text),
  name: one(tag.AttributeName, text),
  value: one(tag.AttributeValue, anyItem),
});

/** One attribute as 2.x has it: an item by its own tag, or a Vendor Attribute. */
function readTagged(item: Item, reading: Reading, readOne: typeof readValue): AttributeInstance {
  if (item.tag === tag.Attribute) {
    const { vendor, name: own, value } = vendorAttribute.read(item, reading);
    const name = vendorAttributeName(vendor, own);
    return { name, value: readOne(name, value, reading) };
  }
  const name = nameOfTag.get(item.tag);
  if (name === undefined) throw unknownAttribute(tagName(item.tag));
  return { name, value: readOne(name, item, reading) };
}

function readValue(name: string, item: Item, reading: Reading): Json {
  return shapeOf(name)?.read(item, reading) ?? null;
}

/** A value as Locate has it. */
function readSearched(name: string, item: Item, reading: Reading): Json {
  return readValue(name, item, { ...reading, searched: true });
}

function unknownAttribute(name: string): Refusal {
  return new Refusal("InvalidField", `${name} is not an attribute that is known here`, "UnsupportedAttribute");
}

function writeTagged({ name, value }: AttributeInstance, version: number): Item {
  const shape = shapeOf(name);
  if (shape !== undefined && isCustom(name)) {
    const item = shape.write(tag.AttributeValue, value, version);
    return vendorAttribute.write(tag.Attribute, { ...vendorOf(name), value: item }, version);
  }
  const number = tagOfName.get(name);
  if (shape === undefined || number === undefined) throw new NotInVersion(name);
  return shape.write(number, value, version);
}

/** Attributes of KMIP 2.x (2.1, 6.1 "Attributes"): instances stand side by side and have no index. */
export const attributes: Shape<readonly AttributeInstance[]> = {
  read: (item, reading) => readAll(item, reading, readValue),
  write: (tagNumber, instances, version) => ({
    tag: tagNumber,
    type: itemType.structure,
    value: instances.flatMap((instance) => sayable(() => writeTagged(instance, version))),
  }),
};

function readAll(item: Item, reading: Reading, readOne: typeof readValue): AttributeInstance[] {
  return expect(item, itemType.structure).value.map((child) => readTagged(child, reading, readOne));
}

/** What Locate searches by: values may be parts of structures (4.9). */
export const searchedAttribute: Shape<AttributeInstance> = {
  ...attribute,
  read: (item, reading) => readIndexed(item, reading, readSearched),
};
/** The same in 2.x. */
export const searchedAttributes: Shape<readonly AttributeInstance[]> = {
  ...attributes,
  read: (item, reading) => readAll(item, reading, readSearched),
};

/** New Attribute, Current Attribute: a structure that holds one. */
export const singleAttribute: Shape<AttributeInstance> = {
  read: (item, reading) => {
    const [instance, ...more] = attributes.read(item, reading);
    if (instance === undefined || more.length > 0)
      throw new Refusal("InvalidMessage", `${tagName(item.tag)} must hold exactly one attribute`);
    return instance;
  },
  write: (tagNumber, instance, version) => attributes.write(tagNumber, [instance], version),
};

const vendorReference = structure({
  vendor: one(tag.VendorIdentification, text),
  name: one(tag.AttributeName, text),
});

/** Attribute Reference (KMIP 2.1, 7.4): the tag of the attribute, or vendor and name. */
export const attributeReference: Shape<string> = {
  read: (item, reading) => {
    if (item.type === itemType.structure) {
      const { vendor, name } = vendorReference.read(item, reading);
      return vendorAttributeName(vendor, name);
    }
    const { value } = expect(item, itemType.enumeration);
    const name = nameOfTag.get(value);
    // What is unknown is an attribute that no object has.
    return name ?? tagName(value);
  },
  write: (tagNumber, name, version) => {
    if (isCustom(name)) return vendorReference.write(tagNumber, vendorOf(name), version);
    const value = tagOfName.get(name);
    if (value === undefined) throw new NotInVersion(name);
    return { tag: tagNumber, type: itemType.enumeration, value };
  },
};

function sayable(write: () => Item): Item[] {
  try {
    return [write()];
  } catch (error) {
    if (error instanceof NotInVersion) return [];
    throw error;
  }
}
