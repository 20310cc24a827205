import { tagName } from "../kmip/tags.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { type Element, tagOf, toItem } from "./kmip-xml.ts";

/** What differs between an expected and a given answer, in words. */
export type Difference = string;

/**
 * Compares an answer with an OASIS expectation as KMIP Profiles 1.4, 4.1 ("Permitted Test Case Variations") allows: dates,
 * identifiers, random key material and result messages differ; servers may have more attributes. Binds "$" placeholders.
 */
export function differences(expected: Element, given: Item, bound: Bindings): Difference[] {
  if (given.tag !== tagOf(expected.name)) return [`${tagName(given.tag)} instead of ${expected.name}`];
  if (ownValue.has(expected.attribute)) return [];
  if (expected.type === "Structure" && given.type === itemType.structure) {
    return expected.name === "ResponsePayload" ? payload(expected, given, bound) : children(expected, given, bound);
  }
  return value(expected, given, bound);
}

/** Placeholder → the value it stands for. */
export type Bindings = Map<string, string>;

/** Fields whose values are the server's own. */
const free = new Set(["ResultMessage", "TimeStamp", "VendorIdentification", "ServerInformation", "ProtocolVersion"]);

/** Attributes of which only the presence is compared: each server has its own random generator. */
const ownValue = new Set(["Random Number Generator"]);

/** Random, once the scenario has the server generate keys (bound as "generated"). */
const generated = new Set(["DigestValue", "KeyMaterial"]);

/** Attributes that nothing here gives: there are no leases. */
const notKept = new Set(["Lease Time"]);

function children(expected: Element, given: Item & { type: 1 }, bound: Bindings): Difference[] {
  const wanted = expected.children.filter(({ name }) => !free.has(name));
  const got = given.value.filter((child) => !free.has(tagName(child.tag)));
  const count = wanted.length === got.length ? [] : [`${expected.name} has ${got.map((each) => tagName(each.tag))}`];
  return [
    ...count,
    ...wanted.flatMap((child, at) => {
      const item = got[at];
      return item === undefined ? [`${child.name} is missing`] : differences(child, item, bound);
    }),
  ];
}

/** Lists in payloads are sets: attributes, attribute names, identifiers, what Query tells. */
function payload(expected: Element, given: Item & { type: 1 }, bound: Bindings): Difference[] {
  const left = [...given.value];
  return expected.children.filter(isCompared).flatMap((child) => {
    const at = left.findIndex((item) => differences(child, item, new Map(bound)).length === 0);
    if (at < 0) return [`no ${show(child)}`];
    const [item] = left.splice(at, 1);
    return item === undefined ? [] : differences(child, item, bound);
  });
}

function isCompared(child: Element): boolean {
  const attributeName = child.name === "AttributeName" ? child.value : child.children[0]?.value;
  return !free.has(child.name) && !notKept.has(attributeName ?? "");
}

function show(element: Element): string {
  return `${element.name} ${[element, ...element.children].map((each) => each.value).join(" ")}`.trim();
}

function value(expected: Element, given: Item, bound: Bindings): Difference[] {
  if (given.type === itemType.dateTime) return expected.type === "DateTime" ? [] : [`${expected.name} is a date`];
  if (generated.has(expected.name) && bound.has("generated")) return [];
  if (expected.value.startsWith("$")) return placeholder(expected, given, bound);
  const wanted = toItem(expected, () => "");
  return text(wanted) === text(given) ? [] : [`${expected.name}: ${text(given)} instead of ${text(wanted)}`];
}

function placeholder(expected: Element, given: Item, bound: Bindings): Difference[] {
  const known = bound.get(expected.value);
  if (known === undefined) bound.set(expected.value, text(given));
  return known === undefined || known === text(given) ? [] : [`${expected.value} was ${known}, is ${text(given)}`];
}

function text(item: Item): string {
  return item.type === itemType.byteString ? item.value.toString("hex") : String(item.value);
}
