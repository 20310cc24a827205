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

const { certificate, symmetricKey, publicKey, privateKey, splitKey, secretData, opaqueObject, pgpKey } = objectType;
const keys = [symmetricKey, publicKey, privateKey, splitKey, pgpKey];
const cryptographic = [...keys, certificate, secretData];
const all = [...cryptographic, opaqueObject];
const secret = [symmetricKey, privateKey, splitKey, secretData];

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
  "Certificate Type": { ...server, appliesTo: [certificate] },
  "Certificate Length": { ...server, since: 11, appliesTo: [certificate] },
  "X.509 Certificate Identifier": { ...server, since: 11, appliesTo: [certificate] },
  "X.509 Certificate Subject": { ...server, since: 11, appliesTo: [certificate] },
  "X.509 Certificate Issuer": { ...server, since: 11, appliesTo: [certificate] },
  "Digital Signature Algorithm": { ...server, since: 11, appliesTo: [certificate, pgpKey] },
  Digest: { ...server, multiple: true, appliesTo: all },
  "Operation Policy Name": { ...server, initially: "either", appliesTo: all },
  "Cryptographic Usage Mask": { ...server, initially: "either", appliesTo: cryptographic },
  State: { ...server, appliesTo: all },
  "Initial Date": { ...server, appliesTo: all },
  "Activation Date": { ...server, initially: "either", modifiable: "preActive", appliesTo: all },
  "Process Start Date": {
    ...server,
    initially: "either",
    modifiable: "untilDeactivated",
    appliesTo: [symmetricKey, splitKey],
  },
  "Protect Stop Date": {
    ...server,
    initially: "either",
    modifiable: "untilDeactivated",
    appliesTo: [symmetricKey, splitKey],
  },
  "Deactivation Date": { ...server, initially: "either", modifiable: "untilDeactivated", appliesTo: all },
  "Destroy Date": { ...server, appliesTo: all },
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
};

const custom: AttributeRule = { ...list, appliesTo: all };

/** Whether the name is that of a client's own attribute (3.39); names with "y-" are for servers and unused here. */
export function isCustom(name: string): boolean {
  return name.startsWith("x-");
}

/** The rule for an attribute in a protocol version; undefined when that version does not have it. */
export function attributeRule(name: string, version: number): AttributeRule | undefined {
  const rule = isCustom(name) ? custom : Object.hasOwn(attributeRules, name) ? attributeRules[name] : undefined;
  if (rule === undefined || version < rule.since || version >= (rule.until ?? Number.POSITIVE_INFINITY))
    return undefined;
  return rule;
}
