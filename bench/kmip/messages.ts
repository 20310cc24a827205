import { tag } from "../../node-image/kmip/tags.ts";
import {
  blockCipherMode,
  cryptographicAlgorithm,
  digitalSignatureAlgorithm,
  paddingMethod,
} from "../../node-image/objects/enumerations.ts";
import type { Json } from "../../node-image/objects/types.ts";
import { cryptographicOperation, part } from "../../node-image/testing/cryptography-requests.ts";
import { item, payload, template } from "../../node-image/testing/items.ts";
import { operation, requestMessage } from "../../node-image/testing/kmip-client.ts";
import { encode } from "../../node-image/ttlv/encode.ts";
import type { Item } from "../../node-image/ttlv/types.ts";

/** A version that every server here speaks. */
const version = 12;

/** Digits that the generator replaces by a number of its own in each message. */
export const numberMark = "000000000000";

const identifier = (id: string) => item.text(tag.UniqueIdentifier, id);
const nameValue = (name: string): Json => ({ nameValue: name, nameType: 1 });

/** Whole request messages of one item. */
export const message = {
  get: (id: string) => one(operation.get, identifier(id)),
  create: (name: string) => one(operation.create, ...createParts(name)),
  locate: (name: string) => one(operation.locate, ...nameAttributes(name)),
  activate: (id: string) => one(operation.activate, identifier(id)),
  query: () => one(operation.query, item.enumeration(tag.QueryFunction, 1)),
  encrypt: (id: string, data: Buffer, iv: Buffer) =>
    one(cryptographicOperation.encrypt, identifier(id), part.parameters(cbc), part.data(data), part.iv(iv)),
  decrypt: (id: string, data: Buffer, iv: Buffer) =>
    one(cryptographicOperation.decrypt, identifier(id), part.parameters(cbc), part.data(data), part.iv(iv)),
  sign: (id: string, data: Buffer) =>
    one(cryptographicOperation.sign, identifier(id), part.parameters(ecdsa), part.data(data)),
} as const;

/** A mode that PyKMIP has too. */
const cbc = {
  blockCipherMode: blockCipherMode.cbc,
  paddingMethod: paddingMethod.pkcs5,
  cryptographicAlgorithm: cryptographicAlgorithm.aes,
};
const ecdsa = { digitalSignatureAlgorithm: digitalSignatureAlgorithm.ecdsaWithSha256 };

function createParts(name: string): Item[] {
  const attributes = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, "Cryptographic Usage Mask": 12 };
  return [item.enumeration(tag.ObjectType, 2), template({ ...attributes, Name: nameValue(name) })];
}

function nameAttributes(name: string): Item[] {
  const found = template({ Name: nameValue(name) });
  return [...(found.value as readonly Item[])];
}

function one(number: number, ...children: Item[]): Buffer {
  return encode(requestMessage([{ operation: number, payload: payload(...children) }], { version }));
}
