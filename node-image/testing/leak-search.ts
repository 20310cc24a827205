import { tag } from "../kmip/tags.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { childrenOf } from "./items.ts";

/** A text that was written, under the name by which a person finds it. */
export type Written = readonly [name: string, text: string];

/** Secrets by their bytes in hexadecimal, with the name of what they belong to. */
export type Secrets = Map<string, string>;

/** Shorter ones could be in a text by chance. */
const secretMinBytes = 8;
/** Secrets, and texts of answers, that one process remembers; beyond it the oldest give way. */
const rememberedMax = 100_000;

// Of the whole process, as its clients are: a test that had to hand them on could forget to.
const known: Secrets = new Map();
const told = new Set<string>();

/** Fields that hold key bytes; public keys are none. */
const keyTags: ReadonlySet<number> = new Set([
  ...[tag.KeyMaterial, tag.Key, tag.D, tag.P, tag.Q, tag.X, tag.PrivateExponent, tag.PrimeExponentP],
  ...[tag.PrimeExponentQ, tag.CRTCoefficient],
]);
/** Numbers of a transparent key that everybody may know, which are inside its Key Material. */
const publicTags: ReadonlySet<number> = new Set([tag.PublicKey, tag.Modulus, tag.PublicExponent, tag.G, tag.QString]);

/** Remembers the key bytes of a message, and what its answers say; every client of the tests calls it. */
export function noteMessage(message: Item): void {
  for (const item of childrenOf(message, tag.BatchItem)) {
    for (const { value } of childrenOf(item, tag.ResultMessage)) remember(told, String(value));
    const payload = [tag.RequestPayload, tag.ResponsePayload].flatMap((number) => childrenOf(item, number))[0];
    if (payload === undefined) continue;
    const operation = childrenOf(item, tag.Operation)[0]?.value;
    const id = childrenOf(payload, tag.UniqueIdentifier)[0]?.value;
    const name = `the object ${id ?? `of a request of operation ${operation}`}`;
    secretsIn(payload, { name, found: known });
  }
}

/** Remembers another secret, such as a PIN. */
export function noteSecret(name: string, bytes: Buffer): void {
  add({ name, found: known }, bytes);
}

/** Where secrets are noted, and the name of what they belong to. */
interface Noting {
  readonly name: string;
  readonly found: Secrets;
}

/** Notes the secrets of an item, which are in the fields of `tags`. */
export function secretsIn(item: Item, noting: Noting, tags = keyTags, inside = false): void {
  if (publicTags.has(item.tag)) return;
  const secret = inside || tags.has(item.tag);
  if (item.type === itemType.structure) for (const child of item.value) secretsIn(child, noting, tags, secret);
  else if (secret && item.type === itemType.byteString) add(noting, item.value);
  else if (secret && item.type === itemType.bigInteger) add(noting, bytesOf(item.value));
}

function add({ found, name }: Noting, bytes: Buffer): void {
  // One byte repeated is a test's filling: it also stands where no key is.
  if (bytes.length < secretMinBytes || bytes.every((byte) => byte === bytes[0])) return;
  const hex = bytes.toString("hex");
  if (found.has(hex)) return;
  found.set(hex, name);
  if (found.size > rememberedMax) found.delete(found.keys().next().value as string);
}

function remember(texts: Set<string>, text: string): void {
  texts.add(text);
  if (texts.size > rememberedMax) texts.delete(texts.values().next().value as string);
}

function bytesOf(number: bigint): Buffer {
  const hex = number.toString(16).replace("-", "");
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
}

/** Every writing in which bytes could stand in a text. */
export function writingsOf(bytes: Buffer): Set<string> {
  const texts = [bytes.toString("latin1"), bytes.toString("utf8")];
  const base64 = [0, 1, 2].map((before) => base64Inside(bytes, before));
  return new Set([
    ...texts,
    ...texts.map((text) => JSON.stringify(text).slice(1, -1)),
    bytes.toString("hex"),
    bytes.toString("hex").toUpperCase(),
    ...base64,
    ...base64.map((text) => text.replaceAll("+", "-").replaceAll("/", "_")),
    bytes.join(","),
  ]);
}

/** What base64 has of the bytes alone, when so many others stand before them. */
function base64Inside(bytes: Buffer, before: number): string {
  const text = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64");
  return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
}

/** Every writing begins with so many characters, by which it is looked up. */
const startLength = 8;

/** The writings that are looked for, by how they begin. */
interface Wanted {
  readonly byStart: ReadonlyMap<string, readonly { readonly writing: string; readonly name: string }[]>;
  /** Which hashes of three characters any of them begins with: most places of a text need no more than a look here. */
  readonly hashes: Uint8Array;
}

function wanted(secrets: ReadonlyMap<string, string>): Wanted {
  const all = [...secrets].flatMap(([hex, name]) =>
    [...writingsOf(Buffer.from(hex, "hex"))].map((writing) => ({ writing, name })),
  );
  const long = all.filter(({ writing }) => writing.length >= startLength);
  const hashes = new Uint8Array(65_536);
  for (const { writing } of long) hashes[hashAt(writing, 0)] = 1;
  return { byStart: Map.groupBy(long, ({ writing }) => writing.slice(0, startLength)), hashes };
}

function hashAt(text: string, at: number): number {
  return ((text.charCodeAt(at) * 31 + text.charCodeAt(at + 1)) * 31 + text.charCodeAt(at + 2)) & 0xffff;
}

/** "OBJECT in NAME" for each secret that stands in a text. One pass through the texts, however many secrets there are. */
export function leaksIn(texts: Iterable<Written>, secrets: ReadonlyMap<string, string> = known): string[] {
  const looked = wanted(secrets);
  const found = new Set<string>();
  for (const [name, text] of texts) for (const each of namesIn(text, looked)) found.add(`${each} in ${name}`);
  return [...found];
}

function namesIn(text: string, { byStart, hashes }: Wanted): string[] {
  const names: string[] = [];
  for (let at = 0; at + startLength <= text.length; at += 1) {
    if (hashes[hashAt(text, at)] === 0) continue;
    const here = byStart.get(text.slice(at, at + startLength))?.filter(({ writing }) => text.startsWith(writing, at));
    for (const { name } of here ?? []) names.push(name);
  }
  return names;
}

/** Throws, with names and no bytes, if a secret of this process stands in one of the texts or in what an answer said. */
export function refuseLeaks(texts: Iterable<Written>, found: readonly string[] = []): void {
  const all = [...found, ...leaksIn([...texts, ["answers to clients", [...told].join("\n")]])];
  if (all.length > 0) throw new Error(`secrets were written: ${all.join("; ")}`);
}

/** Characters of one node's output that are kept for the search at its end. */
const outputMax = 32_000_000;

/** What the processes of a node write. Of more than is kept, the older half is searched for what is known by then. */
export class Output {
  readonly #name: string;
  #lines: string[] = [];
  #length = 0;
  #found: string[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  add(line: string): void {
    this.#lines.push(line);
    this.#length += line.length + 1;
    if (this.#length > outputMax) this.#search(this.#lines.splice(0, Math.ceil(this.#lines.length / 2)));
  }

  /** Leaks found so far; and what is kept. */
  leaks(): string[] {
    this.#search(this.#lines);
    return this.#found;
  }

  #search(lines: readonly string[]): void {
    this.#found.push(...leaksIn([[this.#name, lines.join("\n")]]));
    this.#length = this.#lines.reduce((all, line) => all + line.length + 1, 0);
  }
}
