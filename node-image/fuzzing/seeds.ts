import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { tag } from "../kmip/tags.ts";
import { attributeItem, item, payload, template } from "../testing/items.ts";
import { operation, requestMessage } from "../testing/kmip-client.ts";
import { type Element, parseXml, toItem } from "../testing/kmip-xml.ts";
import { encode } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";
import { identifierAt } from "./identifiers.ts";

const versions = [10, 11, 12, 13, 14];
const id = (index = 0) => item.text(tag.UniqueIdentifier, identifierAt(index));
const aes = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, "Cryptographic Usage Mask": 12 };
const create = {
  operation: operation.create,
  payload: payload(
    item.enumeration(tag.ObjectType, 2),
    template({ ...aes, Name: { nameValue: "seed", nameType: 1 }, "x-own": { type: 7, value: "mine" } }),
  ),
};
const keyBlock = item.structure(
  tag.KeyBlock,
  item.enumeration(tag.KeyFormatType, 1),
  item.structure(tag.KeyValue, item.bytes(tag.KeyMaterial, Buffer.alloc(32, 7))),
  item.enumeration(tag.CryptographicAlgorithm, 3),
  item.integer(tag.CryptographicLength, 256),
);

/** One request of each kind, on the first object of the session. */
const requests: readonly { readonly operation: number; readonly payload: Item }[] = [
  {
    operation: operation.register,
    payload: payload(item.enumeration(tag.ObjectType, 2), template(aes), item.structure(tag.SymmetricKey, keyBlock)),
  },
  { operation: operation.get, payload: payload(id(), item.enumeration(tag.KeyFormatType, 7)) },
  { operation: operation.get, payload: payload(id()) },
  { operation: operation.get, payload: payload() },
  { operation: operation.getAttributes, payload: payload(id(), item.text(tag.AttributeName, "State")) },
  { operation: operation.getAttributeList, payload: payload(id()) },
  { operation: operation.addAttribute, payload: payload(id(), attributeItem("Contact Information", "me")) },
  {
    operation: operation.modifyAttribute,
    payload: payload(id(), attributeItem("x-own", { type: 7, value: "yours" }, 0)),
  },
  {
    operation: operation.deleteAttribute,
    payload: payload(id(), item.text(tag.AttributeName, "Name"), item.integer(tag.AttributeIndex, 0)),
  },
  { operation: operation.locate, payload: payload(item.integer(tag.MaximumItems, 5), attributeItem("State", 1)) },
  { operation: operation.activate, payload: payload(id()) },
  {
    operation: operation.revoke,
    payload: payload(
      id(),
      item.structure(
        tag.RevocationReason,
        item.enumeration(tag.RevocationReasonCode, 2),
        item.text(tag.RevocationMessage, "lost"),
      ),
      item.dateTime(tag.CompromiseOccurrenceDate, 1_767_000_000),
    ),
  },
  { operation: operation.destroy, payload: payload(id()) },
  {
    operation: operation.query,
    payload: payload(...[1, 2, 3].map((each) => item.enumeration(tag.QueryFunction, each))),
  },
  { operation: operation.discoverVersions, payload: payload() },
];

/**
 * Whole sessions as streams of messages: each request after a Create, and all of them as one batch. `short`: single
 * messages, for decoders, which long inputs only slow down.
 */
export function ownSeeds(short = false): Buffer[] {
  return versions.flatMap((version) => {
    const message = (...items: readonly { operation: number; payload: Item }[]) =>
      encode(requestMessage(items, { version }));
    if (short) return [create, ...requests].map((request) => message(request));
    const sessions = requests.map((request) => Buffer.concat([message(create), message(request)]));
    const options = [
      item.enumeration(tag.BatchErrorContinuationOption, 1),
      item.integer(tag.MaximumResponseSize, 4096),
    ];
    const batch = encode(requestMessage([create, ...requests], { version, header: options.reverse() }));
    return [...sessions, Buffer.concat([message(create), ...requests.map((request) => message(request))]), batch];
  });
}

/** The requests of every OASIS test case (XML) below the folder, a session a case; cases that cannot be read are left out. */
export function oasisSeeds(folder: string): Buffer[] {
  return xmlFiles(folder).flatMap((file) => {
    try {
      const session = requestsOf(parseXml(readFileSync(file, "utf8"))).map((element) => encode(toItem(element, bound)));
      return session.length === 0 ? [] : [Buffer.concat(session)];
    } catch {
      return []; // Values that only an answer gives; the other cases have the same fields.
    }
  });
}

function requestsOf(element: Element): Element[] {
  return element.name === "RequestMessage" ? [element] : element.children.flatMap(requestsOf);
}

/** "$UNIQUE_IDENTIFIER_3" is the fourth object that the session makes; dates are those of the session's clock. */
function bound(placeholder: string): string {
  const index = /^\$UNIQUE_IDENTIFIER_(\d+)/.exec(placeholder)?.[1];
  if (index !== undefined) return identifierAt(Number(index));
  if (placeholder.startsWith("$NOW")) return "2026-01-01T00:00:00+00:00";
  return "00112233445566778899aabbccddeeff";
}

function xmlFiles(folder: string): string[] {
  return readdirSync(folder)
    .sort()
    .map((name) => join(folder, name))
    .flatMap((path) => (statSync(path).isDirectory() ? xmlFiles(path) : path.endsWith(".xml") ? [path] : []));
}
