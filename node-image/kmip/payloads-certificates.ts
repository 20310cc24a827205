import type { CertifyRequest } from "../operations/certify.ts";
import { enumerations as known } from "./enumerations.ts";
import { byVersion, list, one, optional, structure } from "./fields.ts";
import { fromPlaceholder, identifier } from "./identifier.ts";
import { newAttributes, placeableIdentifier, uniqueIdentifier } from "./payload.ts";
import { bytes, dateTime, enumeration, interval, type Shape } from "./shape.ts";
import { tag } from "./tags.ts";

const certificateRequest = {
  certificateRequestType: optional(tag.CertificateRequestType, enumeration(known.certificateRequestType)),
  certificateRequest: byVersion(
    optional(tag.CertificateRequest, bytes, 10, 20),
    optional(tag.CertificateRequestValue, bytes, 20),
  ),
  attributes: newAttributes(),
};

const certify = structure({ uniqueIdentifier: optional(tag.UniqueIdentifier, identifier), ...certificateRequest });

/** Certify (4.7). The batch's identifier stands for a public key that is not named, unless a request brings the key itself. */
export const certifyRequest: Pick<Shape<CertifyRequest>, "read"> = {
  read: (payload, reading) => {
    const request = certify.read(payload, reading);
    if (request.uniqueIdentifier !== undefined) return request;
    if (request.certificateRequest !== undefined && reading.placeholders.last === undefined) return request;
    return { ...request, uniqueIdentifier: fromPlaceholder(reading) };
  },
};

/** Re-certify (4.8). */
export const reCertifyRequest = structure({
  uniqueIdentifier: placeableIdentifier,
  ...certificateRequest,
  offset: optional(tag.Offset, interval),
});

/** The answer of both. */
export const certifyResponse = structure({ uniqueIdentifier });

const certificate = structure({
  subtype: one(tag.CertificateType, enumeration(known.certificateType)),
  bytes: one(tag.CertificateValue, bytes),
});

/** Validate (4.24). */
export const validate = {
  request: structure({
    certificates: list(tag.Certificate, certificate),
    uniqueIdentifiers: list(tag.UniqueIdentifier, identifier),
    validityDate: optional(tag.ValidityDate, dateTime),
  }),
  response: structure({ validityIndicator: one(tag.ValidityIndicator, enumeration(known.validityIndicator)) }),
};
