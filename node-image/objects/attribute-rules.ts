import { objectType } from "./enumerations.ts";

/** What one attribute allows (KMIP 1.4, section 3: the "Attribute Rules" table of each). */
export interface AttributeRule {
  /** First protocol version that has it, as major × 10 + minor. */
  readonly since: number;
  /** First protocol version that no longer has it. */
  readonly until?: number;
  /** Who gives the first value. */
  readonly initially: "server" | "client" | "either";
  /** Whether a client may change it, and until when. */
  readonly modifiable: "never" | "always" | "preActive" | "untilDeactivated";
  readonly deletable: boolean;
  readonly multiple: boolean;
  readonly appliesTo: readonly number[];
}

const { certificate, symmetricKey, publicKey, privateKey, splitKey, template, secretData, opaqueObject, pgpKey } =
  objectType;
const { certificateRequest } = objectType;
const keys = [symmetricKey, publicKey, privateKey, splitKey, pgpKey];
const cryptographic = [...keys, certificate, secretData];
const all = [...cryptographic, opaqueObject, template, certificateRequest];
const secret = [symmetricKey, publicKey, privateKey, splitKey, secretData];

/** Parts of a distinguished name that are attributes of their own since KMIP 2.0 (2.1, 4.8). */
export const certificateNameParts = [
  "CN",
  "O",
  "OU",
  "Email",
  "C",
  "ST",
  "L",
  "UID",
  "Serial Number",
  "Title",
  "DC",
  "DN Qualifier",
] as const;

const server = { since: 10, initially: "server", modifiable: "never", deletable: false, multiple: false } as const;
const client = { since: 10, initially: "either", modifiable: "always", deletable: true, multiple: false } as const;
const list = { ...client, multiple: true } as const;

/** Every attribute that the server knows; an attribute that is absent is unknown to it. */
export const attributeRules: Readonly<Record<string, AttributeRule>> = {
  "Unique Identifier": { ...server, appliesTo: all },
  Name: { ...list, appliesTo: all },
  "Object Type": { ...server, appliesTo: all },
  "Cryptographic Algorithm": { ...server, initially: "either", appliesTo: [...keys, certificate, secretData] },
  "Cryptographic Length": { ...server, initially: "either", appliesTo: [...keys, certificate, secretData] },
  "Cryptographic Parameters": { ...list, appliesTo: [...keys, certificate] },
  "Cryptographic Domain Parameters": { ...server, initially: "client", appliesTo: [publicKey, privateKey] },
  "Certificate Type": { ...server, initially: "either", appliesTo: [certificate] },
  "Certificate Length": { ...server, since: 11, appliesTo: [certificate] },
  "Certificate Identifier": { ...server, until: 20, appliesTo: [certificate] },
  "Certificate Subject": { ...server, until: 20, appliesTo: [certificate] },
  "Certificate Issuer": { ...server, until: 20, appliesTo: [certificate] },
  "X.509 Certificate Identifier": { ...server, since: 11, appliesTo: [certificate] },
  "X.509 Certificate Subject": { ...server, since: 11, appliesTo: [certificate] },
  "X.509 Certificate Issuer": { ...server, since: 11, appliesTo: [certificate] },
  "Digital Signature Algorithm": { ...server, since: 11, appliesTo: [certificate, pgpKey] },
  Digest: { ...server, multiple: true, appliesTo: all },
  "Operation Policy Name": { ...server, until: 20, initially: "either", appliesTo: all },
  "Cryptographic Usage Mask": { ...server, initially: "either", appliesTo: all },
  "Lease Time": { ...server, appliesTo: cryptographic },
  // Changed by rules of their own besides, until they are used.
  "Usage Limits": { ...client, appliesTo: keys },
  State: { ...server, appliesTo: all },
  "Initial Date": { ...server, appliesTo: all },
  "Activation Date": { ...server, initially: "either", modifiable: "preActive", appliesTo: all },
  "Process Start Date": {
    ...server,
    initially: "either",
    modifiable: "untilDeactivated",
    // 3.25 and 3.26 name symmetric keys only; the OASIS test cases CS-AC-M-8 and BL-M-4 give them to others too.
    appliesTo: [...keys, secretData],
  },
  "Protect Stop Date": {
    ...server,
    initially: "either",
    modifiable: "untilDeactivated",
    // 3.25 and 3.26 name symmetric keys only; the OASIS test cases CS-AC-M-8 and BL-M-4 give them to others too.
    appliesTo: [...keys, secretData],
  },
  "Deactivation Date": { ...server, initially: "either", modifiable: "untilDeactivated", appliesTo: all },
  "Destroy Date": { ...server, appliesTo: all },
  "Archive Date": { ...server, appliesTo: all },
  "Compromise Occurrence Date": { ...server, appliesTo: all },
  "Compromise Date": { ...server, appliesTo: all },
  "Revocation Reason": { ...server, appliesTo: all },
  "Object Group": { ...list, appliesTo: all },
  Fresh: { ...server, since: 11, initially: "either", appliesTo: all },
  Link: { ...list, appliesTo: all },
  "Application Specific Information": { ...list, appliesTo: all },
  "Contact Information": { ...client, appliesTo: all },
  "Last Change Date": { ...server, appliesTo: all },
  "Alternative Name": { ...list, since: 12, appliesTo: all },
  "Original Creation Date": { ...server, since: 12, initially: "either", appliesTo: all },
  "Random Number Generator": { ...server, since: 13, initially: "either", appliesTo: cryptographic },
  "PKCS#12 Friendly Name": { ...client, since: 14, appliesTo: cryptographic },
  Description: { ...client, since: 14, appliesTo: all },
  Comment: { ...client, since: 14, appliesTo: all },
  Sensitive: { ...client, since: 14, deletable: false, appliesTo: all },
  "Always Sensitive": { ...server, since: 14, appliesTo: secret },
  Extractable: { ...client, since: 14, deletable: false, appliesTo: all },
  "Never Extractable": { ...server, since: 14, appliesTo: secret },
  "Key Format Type": { ...server, since: 20, appliesTo: [...keys, secretData] },
  "Short Unique Identifier": { ...server, since: 20, appliesTo: all },
  "Protection Level": { ...client, since: 20, appliesTo: all },
  "Protection Period": { ...client, since: 20, appliesTo: all },
  "Protection Storage Mask": { ...server, since: 20, appliesTo: all },
  "Quantum Safe": { ...server, since: 20, initially: "either", appliesTo: all },
  "NIST Key Type": { ...list, since: 20, appliesTo: all },
  "Rotate Name": { ...list, since: 21, appliesTo: all },
  "Rotate Interval": { ...client, since: 21, appliesTo: all },
  "Rotate Automatic": { ...client, since: 21, appliesTo: all },
  "Rotate Offset": { ...client, since: 21, appliesTo: all },
  "Rotate Date": { ...server, since: 21, appliesTo: all },
  "Rotate Generation": { ...server, since: 21, appliesTo: all },
  "Rotate Latest": { ...server, since: 21, appliesTo: all },
  ...Object.fromEntries(
    ["Subject", "Issuer"].flatMap((party) =>
      certificateNameParts.map((part) => [
        `Certificate ${party} ${part}`,
        { ...server, since: 20, multiple: true, appliesTo: [certificate] },
      ]),
    ),
  ),
};

const custom: AttributeRule = { ...list, appliesTo: all };
/** Who may do what (docs/access.md): kept in rows of their own, changed by rules of their own. */
const access: AttributeRule = { ...server, multiple: true, appliesTo: all };
const vendorOwn: AttributeRule = { ...custom, since: 20 };

/** Whether the name is that of a client's own attribute (3.39); names with "y-" are for servers and unused here. */
export function isCustom(name: string): boolean {
  return name.startsWith("x-") || name.startsWith(vendorPrefix);
}

/** No attribute of 1.x begins with it: those of vendors other than "x" are seen from 2.0 on only. */
const vendorPrefix = "vendor:";

/** The name under which a Vendor Attribute of KMIP 2.x is kept; vendor "x" is the "x-" of 1.x. */
export function vendorAttributeName(vendor: string, name: string): string {
  return vendor === "x" ? `x-${name}` : `${vendorPrefix}${encodeURIComponent(vendor)}:${name}`;
}

/** Vendor and name of a client's own attribute. */
export function vendorOf(name: string): { readonly vendor: string; readonly name: string } {
  if (name.startsWith("x-")) return { vendor: "x", name: name.slice(2) };
  const end = name.indexOf(":", vendorPrefix.length);
  return { vendor: decodeURIComponent(name.slice(vendorPrefix.length, end)), name: name.slice(end + 1) };
}

/** The rule for an attribute in a protocol version; undefined when that version does not have it. */
export function attributeRule(name: string, version: number): AttributeRule | undefined {
  const rule = name.startsWith("x-")
    ? name.startsWith("x-keyfleet-")
      ? access
      : custom
    : name.startsWith(vendorPrefix)
      ? vendorOwn
      : Object.hasOwn(attributeRules, name)
        ? attributeRules[name]
        : undefined;
  if (rule === undefined || version < rule.since || version >= (rule.until ?? Number.POSITIVE_INFINITY))
    return undefined;
  return rule;
}
