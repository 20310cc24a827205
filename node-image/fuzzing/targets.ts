import type { Encoding } from "../kmip/encoding.ts";
import { json, xml } from "../kmip/vocabulary.ts";
import { messageReader } from "../listen/message-reader.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { DecodeError, type Item } from "../ttlv/types.ts";
import { Finding } from "./finding.ts";
import { type Form, messageBytesMax, stream, textForm, textsForm } from "./form.ts";
import { postedSession } from "./posted-session.ts";
import { session } from "./session.ts";
import { twoCallers } from "./two-callers.ts";

/** What inputs are tried on. Throws Finding, or anything else that must not be thrown. */
export interface Target {
  readonly name: string;
  /** Of the inputs of a run, in relation to the other targets. */
  readonly share: number;
  readonly form: Form;
  /** Absent: its seeds are single messages, since long inputs only slow a decoder down. */
  readonly sessions?: true;
  /** What of the code its coverage is measured in. */
  readonly files: RegExp;
  run(input: Buffer): void | Promise<void>;
}

const messages = /\/node-image\/(ttlv|kmip|operations|objects|access|cryptography)\/(?!.*\.test\.ts)/;
const served = /\/node-image\/(ttlv|kmip|operations|objects|access|cryptography|listen)\/(?!.*\.test\.ts)/;

/** By name. */
export const targets: Readonly<Record<string, Target>> = {
  ttlv: { name: "ttlv", share: 80, form: stream, files: /\/ttlv\/(de|en)code/, run: decoding },
  reader: {
    name: "reader",
    share: 4,
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
  session: { name: "session", share: 0.5, form: stream, sessions: true, files: messages, run: session },
  "two-callers": {
    name: "two-callers",
    share: 0.5,
    form: stream,
    sessions: true,
    files: messages,
    run: (input) => twoCallers(input),
  },
  "session-json": {
    name: "session-json",
    share: 0.5,
    form: textsForm(json),
    sessions: true,
    files: served,
    run: (input) => postedSession(input, "application/json", json),
  },
  "session-xml": {
    name: "session-xml",
    share: 0.5,
    form: textsForm(xml),
    sessions: true,
    files: served,
    run: (input) => postedSession(input, "text/xml", xml),
  },
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
