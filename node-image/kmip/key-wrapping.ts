import type { KeyWrapping } from "../objects/material.ts";
import type { WrappingSpecification } from "../operations/wrapping.ts";
import { cryptographicParameters } from "./attribute-shapes.ts";
import { attributeReference } from "./attributes.ts";
import { enumerations as known } from "./enumerations.ts";
import { byVersion, list, one, optional, structure } from "./fields.ts";
import { enumeration, hexBytes, type Shape, text } from "./shape.ts";
import { tag } from "./tags.ts";

const keyInformation = structure({
  uniqueIdentifier: one(tag.UniqueIdentifier, text),
  cryptographicParameters: optional(tag.CryptographicParameters, cryptographicParameters),
});

const wrappingMethod = one(tag.WrappingMethod, enumeration(known.wrappingMethod));
const encryptionKey = optional(tag.EncryptionKeyInformation, keyInformation);
const macSignatureKey = optional(tag.MACSignatureKeyInformation, keyInformation);
const encodingOption = optional(tag.EncodingOption, enumeration(known.encodingOption), 11);

/** Key Wrapping Data (2.1.5). */
export const keyWrappingData: Shape<KeyWrapping> = structure({
  wrappingMethod,
  encryptionKey,
  macSignatureKey,
  macSignature: optional(tag.MACSignature, hexBytes),
  iv: optional(tag.IVCounterNonce, hexBytes),
  encodingOption,
}) as Shape<KeyWrapping>;

/** Key Wrapping Specification (2.1.6). */
export const keyWrappingSpecification: Shape<WrappingSpecification> = structure({
  wrappingMethod,
  encryptionKey,
  macSignatureKey,
  attributeNames: byVersion(
    list(tag.AttributeName, text, 10, 20),
    list(tag.AttributeReference, attributeReference, 20),
  ),
  encodingOption,
}) as Shape<WrappingSpecification>;
