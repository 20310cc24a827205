import { type Enumeration, knows } from "../kmip/enumeration.ts";
import { enumerations } from "../kmip/enumerations.ts";
import { tag, tagName } from "../kmip/tags.ts";
import { type Item, itemType } from "../ttlv/types.ts";

/** The last tag that each version knows (KMIP 1.0 to 2.1, the tables of tags). */
const lastTag: Readonly<Record<number, number>> = {
  10: 0x4200a1,
  11: 0x4200b7,
  12: 0x4200d3,
  13: 0x4200f7,
  14: 0x420124,
  20: 0x420165,
  21: 0x420176,
};

/** The last KMIP Operation and the last Result Reason of each version, General Failure aside. */
const lastOperation: Readonly<Record<number, number>> = {
  10: 0x1c,
  11: 0x1e,
  12: 0x29,
  13: 0x29,
  14: 0x2b,
  20: 0x35,
  21: 0x3b,
};
const lastReason: Readonly<Record<number, number>> = {
  10: 0x11,
  11: 0x12,
  12: 0x15,
  13: 0x15,
  14: 0x18,
  20: 0x49,
  21: 0x4c,
};
const generalFailure = 0x100;

/**
 * The attributes by the version that brought them, as the sections on attributes of the specifications 1.0 to 2.1 list them, and
 * those that 2.0 took away. Written from those texts and not from the server's table, so that a wrong row there is seen.
 */
export const attributesOf: Readonly<Record<number, readonly string[]>> = {
  10: [
    "Unique Identifier",
    "Name",
    "Object Type",
    "Cryptographic Algorithm",
    "Cryptographic Length",
    "Cryptographic Parameters",
    "Cryptographic Domain Parameters",
    "Certificate Type",
    "Certificate Identifier",
    "Certificate Subject",
    "Certificate Issuer",
    "Digest",
    "Operation Policy Name",
    "Cryptographic Usage Mask",
    "Lease Time",
    "Usage Limits",
    "State",
    "Initial Date",
    "Activation Date",
    "Process Start Date",
    "Protect Stop Date",
    "Deactivation Date",
    "Destroy Date",
    "Compromise Occurrence Date",
    "Compromise Date",
    "Revocation Reason",
    "Archive Date",
    "Object Group",
    "Link",
    "Application Specific Information",
    "Contact Information",
    "Last Change Date",
  ],
  11: [
    "Certificate Length",
    "X.509 Certificate Identifier",
    "X.509 Certificate Subject",
    "X.509 Certificate Issuer",
    "Digital Signature Algorithm",
    "Fresh",
  ],
  12: ["Alternative Name", "Original Creation Date"],
  13: ["Random Number Generator"],
  14: [
    "PKCS#12 Friendly Name",
    "Description",
    "Comment",
    "Sensitive",
    "Always Sensitive",
    "Extractable",
    "Never Extractable",
  ],
  20: [
    "Key Format Type",
    "NIST Key Type",
    "Protection Level",
    "Protection Period",
    "Protection Storage Mask",
    "Quantum Safe",
    "Short Unique Identifier",
    ...["Subject", "Issuer"].flatMap((party) =>
      ["CN", "O", "OU", "Email", "C", "ST", "L", "UID", "Serial Number", "Title", "DC", "DN Qualifier"].map(
        (part) => `Certificate ${party} ${part}`,
      ),
    ),
  ],
  21: [
    "Rotate Automatic",
    "Rotate Date",
    "Rotate Generation",
    "Rotate Interval",
    "Rotate Latest",
    "Rotate Name",
    "Rotate Offset",
  ],
};
const goneIn20 = ["Certificate Identifier", "Certificate Subject", "Certificate Issuer", "Operation Policy Name"];

/** Whether the specification of the version has the attribute; a client's own have names that begin with "x-". */
export function specifies(name: string, version: number): boolean {
  if (name.startsWith("x-")) return true;
  if (version >= 20 && goneIn20.includes(name)) return false;
  return Object.entries(attributesOf).some(([since, names]) => Number(since) <= version && names.includes(name));
}

/** Everything in an answer that the version does not have. */
export function newer(each: Item, version: number): string[] {
  const found: string[] = [];
  if (each.tag > (lastTag[version] ?? 0)) found.push(`${tagName(each.tag)} is newer`);
  // The operation of a batch item is the client's own word, given back.
  const echo = (child: Item) => each.tag === tag.BatchItem && child.tag === tag.Operation;
  const children = each.type === itemType.structure ? each.value.filter((child) => !echo(child)) : [];
  found.push(...children.flatMap((child) => newer(child, version)));
  if (each.tag === tag.AttributeName && version < 20 && !specifies(String(each.value), version))
    found.push(`attribute ${each.value} is newer`);
  if (each.type === itemType.dateTimeExtended && version < 20) found.push(`${tagName(each.tag)} is of a newer type`);
  if (each.type === itemType.enumeration) found.push(...newerValue(each, version));
  return found;
}

/** Values of enumerations that the version does not have. */
function newerValue(each: { readonly tag: number; readonly value: number }, version: number): string[] {
  const found: string[] = [];
  if (each.tag === tag.AttributeReference && each.value > (lastTag[version] ?? 0))
    found.push(`${tagName(each.value)} is newer`);
  if (each.tag === tag.Operation && each.value > (lastOperation[version] ?? 0))
    found.push(`Operation ${each.value} is newer`);
  const isReason = each.tag === tag.ResultReason && each.value !== generalFailure;
  if (isReason && each.value > (lastReason[version] ?? 0)) found.push(`Result Reason ${each.value} is newer`);
  const table = tables[tagName(each.tag).toLowerCase()];
  if (table !== undefined && each.value < vendors && !knows(table, each.value, version))
    found.push(`${tagName(each.tag)} ${each.value} is not of this version`);
  return found;
}

/** Extensions are the client's own, given back (9.1.3.2). */
const vendors = 0x80000000;

const tables: Readonly<Record<string, Enumeration>> = Object.fromEntries(
  Object.entries(enumerations).map(([name, table]) => [name.toLowerCase(), table]),
);
