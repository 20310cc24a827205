import { certificateNameParts, isCustom } from "../objects/attribute-rules.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Json } from "../objects/types.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { enumerations as known } from "./enumerations.ts";
import { list, one, optional, structure } from "./fields.ts";
import {
  anyEnumeration,
  bigIntegerText,
  boolean,
  dateTime,
  enumeration,
  hexBytes,
  integer,
  interval,
  longInteger,
  NotInVersion,
  natural,
  type Reading,
  type Shape,
  text,
} from "./shape.ts";
import { tag } from "./tags.ts";

/** Value of the Cryptographic Parameters attribute (3.6). */
export const cryptographicParameters = structure({
  blockCipherMode: optional(tag.BlockCipherMode, enumeration(known.blockCipherMode)),
  paddingMethod: optional(tag.PaddingMethod, enumeration(known.paddingMethod)),
  hashingAlgorithm: optional(tag.HashingAlgorithm, enumeration(known.hashingAlgorithm)),
  keyRoleType: optional(tag.KeyRoleType, enumeration(known.keyRoleType)),
  digitalSignatureAlgorithm: optional(tag.DigitalSignatureAlgorithm, enumeration(known.digitalSignatureAlgorithm), 12),
  cryptographicAlgorithm: optional(tag.CryptographicAlgorithm, enumeration(known.cryptographicAlgorithm), 12),
  randomIv: optional(tag.RandomIV, boolean, 12),
  ivLength: optional(tag.IVLength, natural, 12),
  tagLength: optional(tag.TagLength, natural, 12),
  fixedFieldLength: optional(tag.FixedFieldLength, natural, 12),
  invocationFieldLength: optional(tag.InvocationFieldLength, natural, 12),
  counterLength: optional(tag.CounterLength, natural, 12),
  initialCounterValue: optional(tag.InitialCounterValue, integer, 12),
  saltLength: optional(tag.SaltLength, natural, 14),
  maskGenerator: optional(tag.MaskGenerator, enumeration(known.maskGenerator), 14),
  maskGeneratorHashingAlgorithm: optional(tag.MaskGeneratorHashingAlgorithm, enumeration(known.hashingAlgorithm), 14),
  pSource: optional(tag.PSource, hexBytes, 14),
  trailerField: optional(tag.TrailerField, natural, 14),
});

const distinguishedName = {
  issuer: structure({
    issuerDistinguishedName: one(tag.IssuerDistinguishedName, hexBytes),
    issuerAlternativeName: list(tag.IssuerAlternativeName, hexBytes),
  }),
  subject: structure({
    subjectDistinguishedName: one(tag.SubjectDistinguishedName, hexBytes),
    subjectAlternativeName: list(tag.SubjectAlternativeName, hexBytes),
  }),
};

/** How the value of each attribute looks on the wire; in the store it is the JSON that its shape reads. */
export const attributeShapes: Readonly<
  Record<
    string,
    { read(item: Item, reading: Reading): unknown; write(tag: number, value: never, version: number): Item }
  >
> = {
  "Unique Identifier": text,
  Name: structure({
    nameValue: one(tag.NameValue, text),
    nameType: one(tag.NameType, enumeration(known.nameType)),
  }),
  "Object Type": enumeration(known.objectType),
  "Cryptographic Algorithm": enumeration(known.cryptographicAlgorithm),
  "Cryptographic Length": natural,
  "Cryptographic Parameters": cryptographicParameters,
  "Cryptographic Domain Parameters": structure({
    qlength: optional(tag.Qlength, natural),
    recommendedCurve: optional(tag.RecommendedCurve, anyEnumeration),
  }),
  "Certificate Type": enumeration(known.certificateType),
  "Certificate Length": natural,
  "Certificate Identifier": structure({
    issuer: one(tag.Issuer, text),
    serialNumber: optional(tag.SerialNumber, text),
  }),
  "Certificate Subject": structure({
    certificateSubjectDistinguishedName: one(tag.CertificateSubjectDistinguishedName, text),
    certificateSubjectAlternativeName: list(tag.CertificateSubjectAlternativeName, text),
  }),
  "Certificate Issuer": structure({
    certificateIssuerDistinguishedName: one(tag.CertificateIssuerDistinguishedName, text),
    certificateIssuerAlternativeName: list(tag.CertificateIssuerAlternativeName, text),
  }),
  "X.509 Certificate Identifier": structure({
    issuerDistinguishedName: one(tag.IssuerDistinguishedName, hexBytes),
    certificateSerialNumber: one(tag.CertificateSerialNumber, hexBytes),
  }),
  "X.509 Certificate Subject": distinguishedName.subject,
  "X.509 Certificate Issuer": distinguishedName.issuer,
  "Digital Signature Algorithm": enumeration(known.digitalSignatureAlgorithm),
  Digest: structure({
    hashingAlgorithm: one(tag.HashingAlgorithm, enumeration(known.hashingAlgorithm)),
    digestValue: optional(tag.DigestValue, hexBytes),
    keyFormatType: optional(tag.KeyFormatType, enumeration(known.keyFormatType), 11),
  }),
  "Operation Policy Name": text,
  "Cryptographic Usage Mask": integer,
  "Lease Time": interval,
  "Usage Limits": structure({
    usageLimitsTotal: one(tag.UsageLimitsTotal, longInteger),
    usageLimitsCount: optional(tag.UsageLimitsCount, longInteger),
    usageLimitsUnit: one(tag.UsageLimitsUnit, enumeration(known.usageLimitsUnit)),
  }),
  "Archive Date": dateTime,
  State: enumeration(known.state),
  "Initial Date": dateTime,
  "Activation Date": dateTime,
  "Process Start Date": dateTime,
  "Protect Stop Date": dateTime,
  "Deactivation Date": dateTime,
  "Destroy Date": dateTime,
  "Compromise Occurrence Date": dateTime,
  "Compromise Date": dateTime,
  "Revocation Reason": structure({
    revocationReasonCode: one(tag.RevocationReasonCode, enumeration(known.revocationReasonCode)),
    revocationMessage: optional(tag.RevocationMessage, text),
  }),
  "Object Group": text,
  Fresh: boolean,
  Link: structure({
    linkType: one(tag.LinkType, enumeration(known.linkType)),
    linkedObjectIdentifier: one(tag.LinkedObjectIdentifier, text),
  }),
  "Application Specific Information": structure({
    applicationNamespace: one(tag.ApplicationNamespace, text),
    applicationData: optional(tag.ApplicationData, text),
  }),
  "Contact Information": text,
  "Last Change Date": dateTime,
  "Alternative Name": structure({
    alternativeNameValue: one(tag.AlternativeNameValue, text),
    alternativeNameType: one(tag.AlternativeNameType, enumeration(known.alternativeNameType)),
  }),
  "Original Creation Date": dateTime,
  "Random Number Generator": structure({
    rngAlgorithm: one(tag.RNGAlgorithm, enumeration(known.rngAlgorithm)),
    cryptographicAlgorithm: optional(tag.CryptographicAlgorithm, enumeration(known.cryptographicAlgorithm)),
    cryptographicLength: optional(tag.CryptographicLength, natural),
    hashingAlgorithm: optional(tag.HashingAlgorithm, enumeration(known.hashingAlgorithm)),
    drbgAlgorithm: optional(tag.DRBGAlgorithm, anyEnumeration),
    recommendedCurve: optional(tag.RecommendedCurve, anyEnumeration),
    fips186Variation: optional(tag.FIPS186Variation, anyEnumeration),
    predictionResistance: optional(tag.PredictionResistance, boolean),
  }),
  "PKCS#12 Friendly Name": text,
  Description: text,
  Comment: text,
  Sensitive: boolean,
  "Always Sensitive": boolean,
  Extractable: boolean,
  "Never Extractable": boolean,
  "Key Format Type": enumeration(known.keyFormatType),
  "Short Unique Identifier": hexBytes,
  "Protection Level": enumeration(known.protectionLevel),
  "Protection Period": interval,
  "Protection Storage Mask": integer,
  "Quantum Safe": boolean,
  "NIST Key Type": enumeration(known.nistKeyType),
  "Rotate Name": structure({
    rotateNameValue: one(tag.RotateNameValue, text),
    rotateNameType: one(tag.RotateNameType, enumeration(known.rotateNameType)),
  }),
  "Rotate Interval": interval,
  "Rotate Automatic": boolean,
  "Rotate Offset": interval,
  "Rotate Date": dateTime,
  "Rotate Generation": natural,
  "Rotate Latest": boolean,
  ...Object.fromEntries(
    certificateNameParts.flatMap((part) => [
      [`Certificate Subject ${part}`, text],
      [`Certificate Issuer ${part}`, text],
    ]),
  ),
};

/** Value of a client's own attribute: it keeps its type, and for structures its items. */
const customValue: Shape<Json> = {
  read: (item, reading) => {
    const value = itemToJson(item, reading);
    if (reading.version < 20 && holdsExtendedDate(item))
      throw new Refusal(
        "InvalidField",
        "Date-Time Extended exists since KMIP 2.0: give a Date-Time",
        "InvalidDataType",
      );
    return value;
  },
  write: (tagNumber, value, version) => {
    const item = jsonToItem(tagNumber, value);
    if (version < 20 && holdsExtendedDate(item)) throw new NotInVersion("Date-Time Extended");
    return item;
  },
};

function holdsExtendedDate(item: Item): boolean {
  if (item.type === itemType.structure) return item.value.some(holdsExtendedDate);
  return item.type === itemType.dateTimeExtended;
}

/** The shape of an attribute's value; undefined when no version knows the name. */
export function shapeOf(name: string): Shape<Json> | undefined {
  if (isCustom(name)) return customValue;
  return Object.hasOwn(attributeShapes, name) ? (attributeShapes[name] as unknown as Shape<Json>) : undefined;
}

function itemToJson(item: Item, reading: Reading): Json {
  switch (item.type) {
    case itemType.structure:
      return {
        type: item.type,
        value: item.value.map((child) => ({ tag: child.tag, item: itemToJson(child, reading) })),
      };
    case itemType.byteString:
      return { type: item.type, value: item.value.toString("hex") };
    case itemType.bigInteger:
      return { type: item.type, value: bigIntegerText.read(item, reading) };
    case itemType.longInteger:
    case itemType.dateTime:
    case itemType.dateTimeExtended:
      return { type: item.type, value: item.value.toString() };
    default:
      return { type: item.type, value: item.value };
  }
}

function jsonToItem(tagNumber: number, json: Json): Item {
  const { type, value } = json as { type: number; value: Json };
  switch (type) {
    case itemType.structure: {
      const children = value as readonly { tag: number; item: Json }[];
      return { tag: tagNumber, type, value: children.map((child) => jsonToItem(child.tag, child.item)) };
    }
    case itemType.byteString:
      return hexBytes.write(tagNumber, value as string, 0);
    case itemType.bigInteger:
      return bigIntegerText.write(tagNumber, value as string, 0);
    case itemType.longInteger:
    case itemType.dateTime:
    case itemType.dateTimeExtended:
      return { tag: tagNumber, type, value: BigInt(value as string) };
    default:
      return { tag: tagNumber, type, value } as Item;
  }
}
