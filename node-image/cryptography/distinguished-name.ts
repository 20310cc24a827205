import {
  type DerElement,
  der,
  derChildren,
  derObjectIdentifier,
  derOid,
  derSequence,
  derSet,
  derTag,
  readDer,
} from "./der.ts";

/** One part of a distinguished name, like "CN" and its value. */
export interface NamePart {
  readonly part: string;
  readonly value: string;
}

/** Object identifiers of the parts that KMIP knows (2.1, 4.8; X.520, RFC 4519). */
export const nameOids: Readonly<Record<string, string>> = {
  CN: "2.5.4.3",
  "Serial Number": "2.5.4.5",
  C: "2.5.4.6",
  L: "2.5.4.7",
  ST: "2.5.4.8",
  O: "2.5.4.10",
  OU: "2.5.4.11",
  Title: "2.5.4.12",
  "DN Qualifier": "2.5.4.46",
  UID: "0.9.2342.19200300.100.1.1",
  DC: "0.9.2342.19200300.100.1.25",
  Email: "1.2.840.113549.1.9.1",
};

/** The order in which parts are written: from the large to the small. */
const order = ["C", "DC", "ST", "L", "O", "OU", "CN", "Serial Number", "UID", "Title", "DN Qualifier", "Email"];

/** A Name (RFC 5280, 4.1.2.4) of parts; unknown parts are left out. */
export function distinguishedName(parts: readonly NamePart[]): Buffer {
  const known = parts.filter(({ part }) => nameOids[part] !== undefined);
  const sorted = known.toSorted((one, other) => order.indexOf(one.part) - order.indexOf(other.part));
  return derSequence(
    ...sorted.map(({ part, value }) =>
      derSet(derSequence(derObjectIdentifier(nameOids[part] ?? ""), der(kindOf(part), Buffer.from(value, "utf8")))),
    ),
  );
}

/** What is wrong with a part of a name, as a sentence: a character that its kind of text has not, or that nobody sees. */
export function partFault({ part, value }: NamePart): string | undefined {
  const kind = kindOf(part);
  const rest = value.replaceAll(
    kind === derTag.printableString ? printable : kind === derTag.ia5String ? ascii : seen,
    "",
  );
  return rest === "" ? undefined : `${part} has characters that it cannot have in a certificate`;
}

/** PrintableString, IA5String and UTF8String (X.680, 41), without control characters. */
const printable = /[A-Za-z0-9 '()+,\-./:=?]/g;
const ascii = /[ -~]/g;
const seen = /[^\p{Cc}\p{Cs}]/gu;

/** Whether the bytes are a Name with at least one part. */
export function isName(bytes: Buffer): boolean {
  try {
    const sets = derChildren(readDer(bytes));
    return sets.length > 0 && sets.every((set) => derChildren(set, derTag.set).every(isPart));
  } catch {
    return false;
  }
}

function isPart(element: DerElement): boolean {
  const [oid, value] = derChildren(element);
  return derOid(oid) !== "" && value !== undefined;
}

/** Countries are PrintableString, mail addresses and domains IA5String, everything else UTF-8 (RFC 5280, A.1). */
function kindOf(part: string): number {
  if (part === "C" || part === "Serial Number" || part === "DN Qualifier") return derTag.printableString;
  return part === "Email" || part === "DC" ? derTag.ia5String : derTag.utf8String;
}
