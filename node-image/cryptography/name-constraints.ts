import { type DerElement, DerError, derChildren, derOid, derTag, readDer } from "./der.ts";
import { nameOids } from "./distinguished-name.ts";

/** Kinds of GeneralName (RFC 5280, 4.2.1.6) by their tag. */
const kind = { email: 0x81, dns: 0x82, directory: 0xa4, uri: 0x86, ip: 0x87 } as const;

/** A name of a certificate: a GeneralName. */
export interface GeneralName {
  readonly tag: number;
  readonly content: Buffer;
}

/** All names of a certificate: its subject, and those of the extension Subject Alternative Name. Throws DerError. */
export function namesOf(subject: DerElement, alternativeName: Buffer | undefined): readonly GeneralName[] {
  const own = subject.content.length === 0 ? [] : [{ tag: kind.directory, content: subject.bytes }];
  return [...own, ...mailsIn(subject), ...(alternativeName === undefined ? [] : derChildren(readDer(alternativeName)))];
}

/** Mail addresses in the subject are constrained like others (4.2.1.10). */
function mailsIn(subject: DerElement): GeneralName[] {
  const parts = derChildren(subject).flatMap((set) => derChildren(set, derTag.set).map((part) => derChildren(part)));
  return parts.flatMap(([oid, value]) =>
    derOid(oid) === nameOids.Email && value !== undefined ? [{ tag: kind.email, content: value.content }] : [],
  );
}

/** Each name is compared with each constraint, and everybody waits for it; so many bytes are looked at. */
const workMaxBytes = 1_048_576;

/** Whether names are among those that the extension Name Constraints lets a CA give (4.2.1.10). Throws DerError. */
export function constraintsHold(extension: Buffer, names: readonly GeneralName[]): boolean {
  const [permitted = [], excluded = []] = [0xa0, 0xa1].map((tag) => subtrees(derChildren(readDer(extension)), tag));
  const nameBytes = names.reduce((sum, { content }) => sum + content.length, 0);
  if (names.length * extension.length + (permitted.length + excluded.length) * nameBytes > workMaxBytes)
    throw new DerError("more names and constraints than are compared");
  return names.every(({ tag, content }) => {
    const within = (base: GeneralName) => base.tag === tag && isWithin(tag, content, base.content);
    const bases = permitted.filter((base) => base.tag === tag);
    return (bases.length === 0 || bases.some(within)) && !excluded.some(within);
  });
}

/** Bases alone; that they have no minimum and maximum is asked for by 4.2.1.10. */
function subtrees(parts: readonly DerElement[], tag: number): readonly GeneralName[] {
  const part = parts.find((each) => each.tag === tag);
  if (part === undefined) return [];
  return derChildren(part, tag).map((subtree) => {
    const [base, ...more] = derChildren(subtree);
    if (base === undefined || more.length > 0) throw new DerError("a subtree that is no base alone");
    return base;
  });
}

/** Throws DerError for kinds of names that are not understood here: those make a path invalid. */
function isWithin(tag: number, name: Buffer, base: Buffer): boolean {
  switch (tag) {
    case kind.directory:
      return startsWith(relativeNames(name), relativeNames(base));
    case kind.dns:
      return isBelow(lower(name), lower(base).replace(/^\./, ""));
    case kind.email:
      return isMailWithin(name.toString("latin1"), base.toString("latin1"));
    case kind.uri:
      return isHostWithin(hostOf(name.toString("latin1")), lower(base));
    case kind.ip:
      return isAddressWithin(name, base);
    default:
      throw new DerError("a constraint of names that are not understood");
  }
}

/** Relative names as texts that are the same for the same name: case and spaces do not count (7.1). */
function relativeNames(name: Buffer): readonly string[] {
  return derChildren(readDer(name)).map((set) =>
    derChildren(set, derTag.set)
      .map((part) => {
        const [oid, value] = derChildren(part);
        return `${derOid(oid)}=${textOf(value).trim().replaceAll(/\s+/g, " ").toLowerCase()}`;
      })
      .sort()
      .join("\n"),
  );
}

const bmpString = 0x1e;

function textOf(value: DerElement | undefined): string {
  if (value === undefined) throw new DerError("a part of a name without a value");
  if (value.tag !== bmpString) return value.content.toString("utf8");
  if (value.content.length % 2 !== 0) throw new DerError("a text of broken characters");
  return Buffer.from(value.content).swap16().toString("utf16le");
}

function startsWith(name: readonly string[], base: readonly string[]): boolean {
  return base.every((each, at) => name[at] === each);
}

function lower(text: Buffer): string {
  return text.toString("latin1").toLowerCase();
}

function isBelow(host: string, base: string): boolean {
  return base === "" || host === base || host.endsWith(`.${base}`);
}

/** A base that begins with a dot is for all hosts below it, another for itself. */
function isHostWithin(host: string, base: string): boolean {
  return base.startsWith(".") ? host.endsWith(base) : host === base;
}

function isMailWithin(name: string, base: string): boolean {
  const [local = "", host = ""] = name.split(/@(?!.*@)/);
  const [wanted = "", at] = base.split(/@(?!.*@)/);
  if (at !== undefined) return local === wanted && host.toLowerCase() === at.toLowerCase();
  return isHostWithin(host.toLowerCase(), base.toLowerCase());
}

function hostOf(uri: string): string {
  const host = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#]*@)?([^/?#:[\]@]+)(?::\d*)?(?:[/?#]|$)/i.exec(uri)?.[1];
  if (host === undefined) throw new DerError("an address without the name of a host");
  return host.toLowerCase();
}

/** An address and its mask. */
function isAddressWithin(address: Buffer, base: Buffer): boolean {
  if (base.length !== 2 * address.length) return false;
  return address.every((byte, at) => ((byte ^ (base[at] ?? 0)) & (base[address.length + at] ?? 0)) === 0);
}
