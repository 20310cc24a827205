import type { Caller } from "../access/identity.ts";
import type { Encoding } from "../kmip/encoding.ts";
import { kmipHandler } from "../kmip/handler.ts";
import { tag } from "../kmip/tags.ts";
import { json, xml } from "../kmip/vocabulary.ts";
import { messageReader } from "../listen/message-reader.ts";
import { childrenOf } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { frame } from "../ttlv/frame.ts";
import { DecodeError, type Item } from "../ttlv/types.ts";
import { identifierAt } from "./identifiers.ts";

/** How the messages of an input are written: so that mutations keep to it. */
export interface Form {
  /** Those that can be read. */
  read(input: Buffer): Item[];
  write(items: readonly Item[]): Buffer;
}

/** What inputs are tried on. Throws Finding, or anything else that must not be thrown. */
export interface Target {
  readonly name: string;
  /** Of the inputs of a run, in relation to the other targets. */
  readonly share: number;
  readonly form: Form;
  /** What of the code its coverage is measured in. */
  readonly files: RegExp;
  run(input: Buffer): void | Promise<void>;
}

/** The code broke a rule that holds for every input. */
export class Finding extends Error {}

const messageBytesMax = 64 * 1024;
const messagesMax = 32;
const generalFailure = 0x100;
/** One for all sessions: it keeps nothing of them. */
const keyring = testKeyring();
const alice: Caller = { identity: "CN=alice", subject: "CN=alice" };

/** A stream of messages in TTLV. */
export const stream: Form = {
  read: (input) => {
    const items: Item[] = [];
    for (const message of framed(input)) {
      const item = attempt(() => decode(message));
      if (item === undefined) return items;
      items.push(item);
    }
    return items;
  },
  write: (items) => Buffer.concat(items.map(encode)),
};

/** One message as text. */
function textForm({ decode: read, encode: write }: Encoding): Form {
  return {
    read: (input) => [attempt(() => read(input))].filter((item) => item !== undefined),
    write: ([item]) => (item === undefined ? Buffer.alloc(0) : write(item)),
  };
}

function attempt(read: () => Item): Item | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

const messages = /\/node-image\/(ttlv|kmip|operations|objects|access|cryptography)\/(?!.*\.test\.ts)/;

/** By name. */
export const targets: Readonly<Record<string, Target>> = {
  ttlv: { name: "ttlv", share: 75, form: stream, files: /\/ttlv\/(de|en)code/, run: decoding },
  reader: {
    name: "reader",
    share: 10,
    form: stream,
    files: /\/node-image\/(ttlv\/frame|listen\/message-reader)/,
    run: reading,
  },
  json: {
    name: "json",
    share: 7,
    form: textForm(json),
    files: /\/ttlv\/(json|text)/,
    run: (input) => text(input, json),
  },
  xml: { name: "xml", share: 7, form: textForm(xml), files: /\/ttlv\/(xml|text)/, run: (input) => text(input, xml) },
  session: { name: "session", share: 1, form: stream, files: messages, run: session },
};

/** Text is refused with the place, or read as something that, written again, is read as the same. */
function text(input: Buffer, encoding: Encoding): void {
  let item: Item;
  try {
    item = encoding.decode(input);
  } catch (error) {
    if (error instanceof DecodeError && error.offset >= 0 && error.offset <= input.length) return;
    throw error;
  }
  const again = encoding.decode(encoding.encode(item));
  if (!encode(again).equals(encode(item))) throw new Finding("what was read is written as something else");
}

/** Bytes are refused with the place, or are the one canonical form of what they are read as. */
function decoding(input: Buffer): void {
  let item: ReturnType<typeof decode>;
  try {
    item = decode(input);
  } catch (error) {
    if (error instanceof DecodeError && error.offset >= 0 && error.offset <= input.length) return;
    throw error;
  }
  if (!encode(item).equals(input)) throw new Finding("what was read is written in another form");
}

/** However a stream is cut into pieces, the same messages come out of it; nothing of them is left behind. */
function reading(input: Buffer): void {
  const whole = messagesOf(input, input.length || 1);
  const pieces = messagesOf(input, 1 + ((input[input.length - 1] ?? 0) % 37));
  const same = whole.length === pieces.length && whole.every((each, at) => each.equals(pieces[at] as Buffer));
  if (same) return;
  const [one, other] = [whole, pieces].map((each) => each.map((bytes) => bytes.toString("hex")).join());
  throw new Finding(`messages depend on how they arrive: ${one} or ${other}`);
}

const notKmip = Buffer.from("not KMIP");

/** The messages of a stream that comes in pieces; what is no message ends them. */
function messagesOf(stream: Buffer, pieceBytes: number): Buffer[] {
  const reader = messageReader(messageBytesMax);
  const found: Buffer[] = [];
  // One copy for all pieces: the reader owns, and zeroes, what it is given, and pieces have no byte in common.
  const own = Buffer.from(stream);
  for (let at = 0; at < own.length; at += pieceBytes) {
    reader.push(own.subarray(at, at + pieceBytes));
    for (let next = reader.next(); next !== undefined; next = reader.next()) {
      if (next instanceof Error) return [...found, notKmip];
      found.push(next);
    }
  }
  return found;
}

/**
 * The General Failures that the OASIS test cases ask for (CS-BC-M-GCM-1, CS-BC-M-CHACHA20POLY1305-1, QS-M-2): their messages say
 * what is wrong, so that the log need not.
 */
const foreseen = /^(Tag Length must be one of|This key is not Quantum Safe)/;

/** Every message is answered by a message, and no failure is one that nobody foresaw. */
async function session(input: Buffer): Promise<void> {
  const unforeseen: string[] = [];
  let made = 0;
  const handler = kmipHandler({
    store: memoryStore(),
    keyring,
    now: () => new Date(1_767_225_600_000),
    newId: () => identifierAt(made++),
    log: (fields) => {
      if (fields.level === "error") unforeseen.push(`${fields.message} ${fields.stack}`);
    },
  });
  for (const message of framed(input)) {
    const answer = await handler(message, alice);
    const item = decode(answer);
    if (item.tag !== tag.ResponseMessage) throw new Finding("the answer is no Response Message");
    if (unforeseen.length > 0) throw new Finding(`unforeseen failure: ${unforeseen[0]}`);
    for (const result of childrenOf(item, tag.BatchItem)) {
      const [reason, words] = [tag.ResultReason, tag.ResultMessage].map((each) => childrenOf(result, each)[0]?.value);
      if (reason === generalFailure && !foreseen.test(String(words)))
        throw new Finding(`a General Failure without a line in the log: ${words}`);
    }
    if (message.some((byte) => byte !== 0)) throw new Finding("the request's bytes are still in memory");
  }
}

/** The messages of a stream; what is left over goes to the handler as well, which must not trust whoever cuts. */
function framed(stream: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < stream.length && found.length < messagesMax; ) {
    const framing = frame(stream.subarray(at), messageBytesMax);
    const end = framing.kind === "message" ? at + framing.bytes : stream.length;
    found.push(Buffer.from(stream.subarray(at, end)));
    at = end;
  }
  return found;
}
