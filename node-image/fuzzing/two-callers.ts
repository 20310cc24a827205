import type { Caller } from "../access/identity.ts";
import { tag } from "../kmip/tags.ts";
import { unpackMaterial } from "../objects/material.ts";
import { childrenOf } from "../testing/items.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { Finding } from "./finding.ts";
import { framed } from "./form.ts";
import { identifierAt, strangersIdentifierAt } from "./identifiers.ts";
import { judgedServer, keyring, owner } from "./session.ts";

const stranger: Caller = { identity: "CN=stranger", subject: "CN=stranger" };

/** Bytes of a key that are looked for: fewer might be met by chance. */
const windowBytes = 16;
/** Starts every attribute by which an owner gives rights: from then on the stranger may be one no more. */
const rights = "x-keyfleet-";
const cryptographicFailure = 0x0a;

/**
 * Each message is sent by an owner, then by a stranger to the same server, then by the stranger to a server that has nothing of
 * the owner's. The stranger cannot tell one server from the other, and is never answered with key bytes of the owner's. `other`: the stranger,
 * for the test of this rule, where it is none.
 */
export async function twoCallers(input: Buffer, other = stranger): Promise<void> {
  const [shared, alone] = [aServer(), aServer()];
  const sent: Buffer[] = [];
  for (const message of framed(input)) {
    if (message.includes(rights)) return;
    await shared.send(message, owner);
    sent.push(message);
    const answer = await shared.send(message, other);
    for (const secret of shared.secrets)
      if (answer.includes(secret) && !sent.some((each) => each.includes(secret)))
        throw new Finding("the stranger was answered with key bytes of the owner's");
    const same = tellsNothing(decode(answer), decode(await alone.send(message, other)));
    if (!same) throw new Finding("the stranger can tell whether the owner has the object");
  }
}

/** Objects of the two callers are named apart; a piece of each key that is sealed for the owner is kept. */
function aServer() {
  const secrets: Buffer[] = [];
  const made = { owner: 0, stranger: 0 };
  let asking: Caller = owner;
  const server = judgedServer({
    newId: () => (asking === owner ? identifierAt(made.owner++) : strangersIdentifierAt(made.stranger++)),
    keyring: {
      ...keyring,
      seal: (plaintext, context) => {
        const key = unpackMaterial(plaintext).bytes;
        if (asking === owner && key.length >= windowBytes) secrets.push(middleOf(key));
        return keyring.seal(plaintext, context);
      },
    },
  });
  const send = (message: Buffer, caller: Caller) => {
    asking = caller;
    return server(Buffer.from(message), caller);
  };
  return { secrets, send };
}

/** The first bytes of a key in DER are those of every key of its kind. */
function middleOf(key: Buffer): Buffer {
  const start = (key.length - windowBytes) >> 1;
  return Buffer.from(key.subarray(start, start + windowBytes));
}

/**
 * Whether two answers are the same byte for byte, but for what is made by chance: bytes and large numbers of what succeeded (keys,
 * nonces, signatures of the stranger's own), and whether what a key opens has the right padding.
 */
function tellsNothing(one: Item, other: Item): boolean {
  if (encode(withoutChance(one)).equals(encode(withoutChance(other)))) return true;
  return [one, other].some((answer) => childrenOf(answer, tag.BatchItem).some(failedByChance));
}

function failedByChance(result: Item): boolean {
  return childrenOf(result, tag.ResultReason)[0]?.value === cryptographicFailure;
}

function withoutChance(item: Item): Item {
  switch (item.type) {
    case itemType.structure:
      return { ...item, value: item.value.map(withoutChance) };
    case itemType.byteString:
      return { ...item, value: Buffer.alloc(0) };
    case itemType.bigInteger:
      return { ...item, value: 0n };
    default:
      return item;
  }
}
