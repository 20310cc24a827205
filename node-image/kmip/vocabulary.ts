import { decodeJson, encodeJson } from "../ttlv/json.ts";
import type { Vocabulary } from "../ttlv/vocabulary.ts";
import { decodeXml, encodeXml } from "../ttlv/xml.ts";
import type { Encoding } from "./encoding.ts";
import type { Enumeration } from "./enumeration.ts";
import { enumerations } from "./enumerations.ts";
import { tag } from "./tags.ts";
import { wordOf } from "./words.ts";

/** Tags whose names have signs that stay (KMIP Profiles 1.4, 5.4.1). */
const signed: Readonly<Record<string, string>> = {
  X509CertificateIdentifier: "X_509CertificateIdentifier",
  X509CertificateIssuer: "X_509CertificateIssuer",
  X509CertificateSubject: "X_509CertificateSubject",
  PKCS12FriendlyName: "PKCS_12FriendlyName",
  PKCS11Interface: "PKCS_11Interface",
  PKCS11Function: "PKCS_11Function",
  PKCS11InputParameters: "PKCS_11InputParameters",
  PKCS11OutputParameters: "PKCS_11OutputParameters",
  PKCS11ReturnCode: "PKCS_11ReturnCode",
};

const tagWords: ReadonlyMap<number, string> = new Map(
  Object.entries(tag).map(([name, number]) => [number, signed[name] ?? name]),
);
const tags: ReadonlyMap<string, number> = new Map([...tagWords].map(([number, word]) => [word, number]));

/** Enumerations that are not named as the field that holds them. */
const tables: Readonly<Record<string, Enumeration>> = {
  ...enumerations,
  batchErrorContinuationOption: enumerations.batchErrorContinuation,
  maskGeneratorHashingAlgorithm: enumerations.hashingAlgorithm,
};

interface Words {
  readonly words: ReadonlyMap<number, string>;
  readonly values: ReadonlyMap<string, number>;
}

/** By the word of the tag, or of the attribute, in lower case. */
const enumerationWords: ReadonlyMap<string, Words> = new Map(
  Object.entries(tables).map(([name, { names }]) => {
    const words = new Map([...names].map(([value, each]) => [value, wordOf(each)]));
    const values = new Map([...words].map(([value, word]) => [word, value]));
    return [name.toLowerCase(), { words, values }] as const;
  }),
);

const masks: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    CryptographicUsageMask:
      "Sign Verify Encrypt Decrypt WrapKey UnwrapKey Export MACGenerate MACVerify DeriveKey ContentCommitment KeyAgreement CertificateSign CRLSign GenerateCryptogram ValidateCryptogram TranslateEncrypt TranslateDecrypt TranslateWrap TranslateUnwrap Authenticate Unrestricted FPEEncrypt FPEDecrypt".split(
        " ",
      ),
    StorageStatusMask: ["OnLineStorage", "ArchivalStorage", "DestroyedStorage"],
    ProtectionStorageMask:
      "Software Hardware OnProcessor OnSystem OffSystem Hypervisor OperatingSystem Container OnPremises OffPremises SelfManaged Outsourced Validated SameJurisdiction".split(
        " ",
      ),
  }),
);

/** No attribute whose value is a word has a longer name: it is looked at for each value that follows it. */
const nameMaxLength = 64;

/** What an item is named after: an Attribute Value after the attribute. */
function subject(number: number, attribute: string | undefined): string {
  if (number === tag.AttributeValue && attribute !== undefined)
    return attribute.length > nameMaxLength ? "" : wordOf(attribute);
  return tagWords.get(number) ?? "";
}

/** The words of KMIP. */
export const vocabulary: Vocabulary = {
  tagOf: (word) => tags.get(word),
  wordOfTag: (number) => tagWords.get(number),
  valueOf: (number, word, attribute) => {
    if (number === tag.AttributeReference || number === tag.Tag) return tags.get(word);
    return enumerationWords.get(subject(number, attribute).toLowerCase())?.values.get(word);
  },
  wordOfValue: (number, value, attribute) => {
    if (number === tag.AttributeReference || number === tag.Tag) return tagWords.get(value);
    return enumerationWords.get(subject(number, attribute).toLowerCase())?.words.get(value);
  },
  bitsOf: (number, attribute) => masks.get(subject(number, attribute)),
};

/** KMIP over HTTPS in JSON. */
export const json: Encoding = {
  name: "json",
  decode: (bytes) => decodeJson(bytes, vocabulary),
  encode: (item) => encodeJson(item, vocabulary),
};

/** KMIP over HTTPS in XML. */
export const xml: Encoding = {
  name: "xml",
  decode: (bytes) => decodeXml(bytes, vocabulary),
  encode: (item) => encodeXml(item, vocabulary),
};
