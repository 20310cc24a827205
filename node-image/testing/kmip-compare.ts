import { tagName } from "../kmip/tags.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { type Bindings, isPlaceholder } from "./kmip-bindings.ts";
import { type Element, isOf, toItem } from "./kmip-xml.ts";

/** What differs between an expected and a given answer, in words. */
export type Difference = string;

/** How an answer is judged. */
export interface Judgement {
  /** What the placeholders stand for; this comparison binds those that it is the first to see. */
  readonly bindings: Bindings;
  /** Whether the request named the attributes it wants, so that none may be too many. */
  readonly exact: boolean;
  /** Whether the operation's result depends on chance, so that only the length of its bytes can be compared. */
  readonly random: boolean;
  /** Whether the server made the keys of the scenario, so that their bytes are its own. */
  readonly generated: boolean;
}

/**
 * Compares an answer with an OASIS expectation as KMIP Profiles 1.4, 4.1 ("Permitted Test Case Variations") allows: dates,
 * identifiers, random key material and result messages differ; servers may have more attributes. Binds "$" placeholders.
 */
export function differences(expected: Element, given: Item, judgement: Judgement): Difference[] {
  if (!isOf(given, expected)) return [`${tagName(given.tag)} instead of ${expected.name}`];
  if (ownValue.has(expected.attribute) || ownValue.has(expected.name)) return [];
  if (expected.type === "Structure" && given.type === itemType.structure) {
    return sets.has(expected.name) ? set(expected, given, judgement) : children(expected, given, judgement);
  }
  return value(expected, given, judgement);
}

/** Fields whose values are the server's own, and that it may leave out or have besides. */
const free = new Set([
  "ResultMessage",
  "TimeStamp",
  "VendorIdentification",
  "ServerInformation",
  "ServerCorrelationValue",
  "ExtensionInformation",
  "ApplicationNamespace",
]);

/** Attributes of which only the presence is compared: each server has its own random generator, lease policy and name. */
const ownValue = new Set([
  "Random Number Generator",
  "RandomNumberGenerator",
  "Lease Time",
  "LeaseTime",
  "PKCS_11OutputParameters",
  "RNGParameters",
  "CapabilityInformation",
  "ProfileInformation",
  "ValidationInformation",
]);

/** Bytes of keys that the server made, and what follows from them. */
const ofTheKey = new Set([
  "DigestValue",
  "KeyMaterial",
  "KeyValue",
  "Modulus",
  "PublicExponent",
  "PrivateExponent",
  "P",
  "Q",
  "PrimeExponentP",
  "PrimeExponentQ",
  "CRTCoefficient",
  "D",
  "QString",
  "CertificateValue",
]);

/** Structures whose children have no order: attributes, attribute names, identifiers, what Query tells. */
const sets = new Set(["ResponsePayload", "Attributes"]);

/** Operations that a server asks of a client: who never does so does not claim them in Query. */
const sentByServers = new Set(["Notify", "Put"]);

/** What an answer may have more of than the example: what Query claims, how many there are, versions that are spoken. */
const more = new Set([
  "Operation",
  "ObjectType",
  "LocatedItems",
  "ProtocolVersion",
  "RNGParameters",
  "CapabilityInformation",
  "ProfileInformation",
  "ValidationInformation",
]);
const attributes = new Set(["Attribute", "AttributeName", "AttributeReference"]);

function children(expected: Element, given: Item & { type: 1 }, judgement: Judgement): Difference[] {
  const wanted = expected.children.filter(({ name, value: text }) => !free.has(name) && !isFirstIndex(name, text));
  const got = given.value.filter((child) => {
    const name = tagName(child.tag);
    return !free.has(name) && !isFirstIndex(name, String(child.value));
  });
  const count = wanted.length === got.length ? [] : [`${expected.name} has ${got.map((each) => tagName(each.tag))}`];
  return [
    ...count,
    ...wanted.flatMap((child, at) => {
      const item = got[at];
      return item === undefined ? [`${child.name} is missing`] : differences(child, item, judgement);
    }),
  ];
}

/** An Attribute Index of 0 may be left out (2.1.1). */
function isFirstIndex(name: string, value: string): boolean {
  return name === "AttributeIndex" && Number(value) === 0;
}

function set(expected: Element, given: Item & { type: 1 }, judgement: Judgement): Difference[] {
  const left = [...given.value];
  const missing = expected.children.flatMap((child) => {
    if (free.has(child.name) || (child.name === "Operation" && sentByServers.has(child.value))) return [];
    const trial = { ...judgement, bindings: judgement.bindings.copy() };
    const at = left.findIndex((item) => differences(child, item, trial).length === 0);
    if (at < 0) return [`no ${show(child)}${near(child, left, trial)}`];
    const [item] = left.splice(at, 1);
    return item === undefined ? [] : differences(child, item, judgement);
  });
  const inAttributes = expected.name === "Attributes";
  const tooMany = left.filter(({ tag }) => {
    const name = tagName(tag);
    return (inAttributes || attributes.has(name) ? judgement.exact : !more.has(name)) && !free.has(name);
  });
  return [...missing, ...tooMany.map((item) => `${tagName(item.tag)} ${text(item)} is too much`)];
}

/** What is wrong with the item of the same name, if there is one. */
function near(expected: Element, given: readonly Item[], judgement: Judgement): string {
  const like = given.filter((item) => isOf(item, expected));
  return like.length === 1 && like[0] !== undefined ? ` (${differences(expected, like[0], judgement)})` : "";
}

function show(element: Element): string {
  return `${element.name} ${[element, ...element.children].map((each) => each.value).join(" ")}`.trim().slice(0, 200);
}

/** Results of operations with chance in them: random IVs, OAEP, keys that the server made. */
const chance = new Set(["Data", "IVCounterNonce", "AuthenticatedEncryptionTag", "SignatureData"]);

function value(expected: Element, given: Item, { bindings, random, generated }: Judgement): Difference[] {
  if (given.type === itemType.dateTimeExtended)
    return expected.type === "DateTimeExtended" ? [] : [`${expected.name} is an extended date`];
  if (given.type === itemType.dateTime) return expected.type === "DateTime" ? [] : [`${expected.name} is a date`];
  if (generated && ofTheKey.has(expected.name) && given.type !== itemType.structure) return [];
  if (isPlaceholder(expected.value)) return placeholder(expected, given, bindings);
  return literal(expected, given, random);
}

function literal(expected: Element, given: Item, random: boolean): Difference[] {
  const wanted = itemOr(expected);
  if (typeof wanted === "string") return [wanted];
  if (random && chance.has(expected.name))
    return sameLength(wanted, given) ? [] : [`${expected.name} is of another length`];
  return text(wanted) === text(given) && wanted.type === given.type
    ? []
    : [`${expected.name}: ${text(given).slice(0, 80)} instead of ${text(wanted).slice(0, 80)}`];
}

/** The item that is expected, or why it can be none. */
function itemOr(expected: Element): Item | string {
  try {
    return toItem(expected, () => "");
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function sameLength(wanted: Item, given: Item): boolean {
  return Buffer.isBuffer(wanted.value) && Buffer.isBuffer(given.value) && wanted.value.length === given.value.length;
}

function placeholder(expected: Element, given: Item, bindings: Bindings): Difference[] {
  const known = bindings.bind(expected.value, text(given));
  return known === undefined || known === text(given) ? [] : [`${expected.value} was ${known}, is ${text(given)}`];
}

function text(item: Item): string {
  if (item.type === itemType.structure) return `(${item.value.map((child) => tagName(child.tag))})`;
  if (item.type === itemType.bigInteger) return hexadecimal(item.value);
  return item.type === itemType.byteString ? item.value.toString("hex") : String(item.value);
}

/** A Big Integer as the XML form writes it: two's complement in whole blocks of eight bytes. */
function hexadecimal(value: bigint): string {
  let bits = 64;
  while (BigInt.asIntN(bits, value) !== value) bits += 64;
  return BigInt.asUintN(bits, value)
    .toString(16)
    .padStart(bits / 4, "0");
}
