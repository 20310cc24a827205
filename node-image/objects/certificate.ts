import { X509Certificate } from "node:crypto";
import { certificateNameParts } from "./attribute-rules.ts";
import { Refusal } from "./refusal.ts";
import type { Json } from "./types.ts";

/** The attributes that follow from a DER certificate (3.9–3.15): names and serial number as DER bytes, and as texts. Throws Refusal. */
export function certificateAttributes(der: Buffer): Record<string, Json[]> {
  const [issuer, subject, serial] = names(der).map((part) => part.toString("hex"));
  if (issuer === undefined || subject === undefined || serial === undefined) throw unreadable();
  return {
    "Certificate Length": [der.length],
    "X.509 Certificate Identifier": [{ issuerDistinguishedName: issuer, certificateSerialNumber: serial }],
    "X.509 Certificate Subject": [{ subjectDistinguishedName: subject, subjectAlternativeName: [] }],
    "X.509 Certificate Issuer": [{ issuerDistinguishedName: issuer, issuerAlternativeName: [] }],
    ...texts(der),
    ...nameParts(der),
  };
}

/** What KMIP 1.0 knew of a certificate (3.13–3.15): names as RFC 4514 writes them, the serial number in hexadecimal digits. */
function texts(der: Buffer): Record<string, Json[]> {
  const { subject = "", issuer = "", serialNumber, subjectAltName } = parsed(der);
  const [subjectName, issuerName] = [subject, issuer].map((lines) => lines.split("\n").reverse().join(",")) as [
    string,
    string,
  ];
  return {
    "Certificate Identifier": [{ issuer: issuerName, serialNumber }],
    "Certificate Subject": [
      {
        certificateSubjectDistinguishedName: subjectName,
        certificateSubjectAlternativeName: subjectAltName === undefined ? [] : [subjectAltName],
      },
    ],
    "Certificate Issuer": [{ certificateIssuerDistinguishedName: issuerName, certificateIssuerAlternativeName: [] }],
  };
}

/** OpenSSL's short names of the parts that KMIP names otherwise. */
const shortNames: Readonly<Record<string, string>> = {
  Email: "emailAddress",
  "Serial Number": "serialNumber",
  Title: "title",
  "DN Qualifier": "dnQualifier",
};

/** Subject and issuer taken apart (KMIP 2.1, 4.8). */
function nameParts(der: Buffer): Record<string, Json[]> {
  const certificate = parsed(der);
  const parties = { Subject: certificate.subject ?? "", Issuer: certificate.issuer ?? "" };
  return Object.fromEntries(
    Object.entries(parties).flatMap(([party, lines]) =>
      certificateNameParts.flatMap((part) => {
        const prefix = `${shortNames[part] ?? part}=`;
        const found = lines.split("\n").filter((line) => line.startsWith(prefix));
        const values = found.map((line) => line.slice(prefix.length));
        return values.length === 0 ? [] : [[`Certificate ${party} ${part}`, values]];
      }),
    ),
  );
}

function parsed(der: Buffer): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch {
    throw unreadable();
  }
}

const sequence = 0x30;
const integer = 0x02;
const versionTag = 0xa0;

/** TBSCertificate ::= [0] version?, serial, signature, issuer, validity, subject, … (RFC 5280, 4.1). */
function names(der: Buffer): Buffer[] {
  const outer = element(der, 0, sequence);
  if (outer.end !== der.length) throw unreadable();
  const body = element(der, outer.start, sequence);
  const fields: Element[] = [];
  for (let at = body.start; at < body.end && fields.length < 6; at = (fields.at(-1) as Element).end) {
    fields.push(element(der, at));
  }
  if (fields[0]?.tag === versionTag) fields.shift();
  const [serial, , issuer, , subject] = fields;
  if (serial?.tag !== integer || issuer?.tag !== sequence || subject?.tag !== sequence) throw unreadable();
  return [issuer, subject, serial].map(({ from, end }) => der.subarray(from, end));
}

interface Element {
  readonly tag: number;
  /** First byte of the header, of the content, and the one after the content. */
  readonly from: number;
  readonly start: number;
  readonly end: number;
}

/** Reads a DER header with a definite length of up to three bytes. */
function element(der: Buffer, from: number, tag?: number): Element {
  const [found, first] = [der[from], der[from + 1]];
  if (found === undefined || first === undefined || (tag !== undefined && found !== tag)) throw unreadable();
  const lengthBytes = first < 0x80 ? 0 : first - 0x80;
  if (lengthBytes > 3 || first === 0x80 || from + 2 + lengthBytes > der.length) throw unreadable();
  const start = from + 2 + lengthBytes;
  const end = start + (lengthBytes === 0 ? first : der.readUIntBE(from + 2, lengthBytes));
  if (end > der.length) throw unreadable();
  return { tag: found, from, start, end };
}

function unreadable(): Refusal {
  return new Refusal("InvalidField", "The Certificate Value is not an X.509 certificate in DER");
}
