import { enumerations as known } from "./enumerations.ts";
import { one, optional, structure } from "./fields.ts";
import { anyEnumeration, bytes, enumeration, text } from "./shape.ts";
import { tag } from "./tags.ts";

/** A payload with nothing in it. */
export const empty = structure({});

/** Interop (2.1, 6.1.24). */
export const interopRequest = structure({
  interopFunction: one(tag.InteropFunction, enumeration(known.interopFunction)),
  interopIdentifier: optional(tag.InteropIdentifier, text),
});

/** Log (2.1, 6.1.28). */
export const logRequest = structure({ message: one(tag.LogMessage, text) });

/** Set Endpoint Role (2.1, 6.1.57). */
export const endpointRole = structure({ role: one(tag.EndpointRole, enumeration(known.endpointRole)) });

/** PKCS#11 (2.1, 6.1.34). */
export const pkcs11 = {
  request: structure({
    pkcs11Interface: optional(tag.PKCS11Interface, text),
    pkcs11Function: one(tag.PKCS11Function, anyEnumeration),
    correlation: optional(tag.CorrelationValue, bytes),
    input: optional(tag.PKCS11InputParameters, bytes),
  }),
  response: structure({
    pkcs11Function: one(tag.PKCS11Function, anyEnumeration),
    correlation: optional(tag.CorrelationValue, bytes),
    output: optional(tag.PKCS11OutputParameters, bytes),
    returnCode: one(tag.PKCS11ReturnCode, anyEnumeration),
  }),
};
