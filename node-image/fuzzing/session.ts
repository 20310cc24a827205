import type { Caller } from "../access/identity.ts";
import { type Encoding, ttlv } from "../kmip/encoding.ts";
import { type HandlerParts, kmipHandler } from "../kmip/handler.ts";
import { tag } from "../kmip/tags.ts";
import { childrenOf } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { memoryStore } from "../testing/memory-store.ts";
import type { Item } from "../ttlv/types.ts";
import { Finding } from "./finding.ts";
import { framed } from "./form.ts";
import { identifierAt } from "./identifiers.ts";

/** One for all sessions: it keeps nothing of them. */
export const keyring = testKeyring();
export const owner: Caller = { identity: "CN=owner", subject: "CN=owner" };
const generalFailure = 0x100;

/**
 * The General Failures that the OASIS test cases ask for (CS-BC-M-GCM-1, CS-BC-M-CHACHA20POLY1305-1, QS-M-2): their messages say
 * what is wrong, so that the log need not.
 */
const foreseen = /^(Tag Length must be one of|This key is not Quantum Safe)/;

/** A server of its own that judges each of its answers: it throws Finding where a rule is broken. The message is the callee's. */
export type JudgedServer = (message: Buffer, caller: Caller, encoding?: Encoding) => Promise<Buffer>;

/** Makes one, empty, with a clock that stands. */
export function judgedServer(parts: Partial<HandlerParts> = {}): JudgedServer {
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
    ...parts,
  });
  return async (message, caller, encoding = ttlv) => {
    const answer = await handler(message, caller, encoding);
    judge(encoding.decode(answer));
    if (unforeseen.length > 0) throw new Finding(`unforeseen failure: ${unforeseen[0]}`);
    if (message.some((byte) => byte !== 0)) throw new Finding("the request's bytes are still in memory");
    return answer;
  };
}

/** Every message is answered by a message, and no failure is one that nobody foresaw. */
export async function session(input: Buffer): Promise<void> {
  const server = judgedServer();
  for (const message of framed(input)) await server(message, owner);
}

function judge(answer: Item): void {
  if (answer.tag !== tag.ResponseMessage) throw new Finding("the answer is no Response Message");
  for (const result of childrenOf(answer, tag.BatchItem)) {
    const [reason, words] = [tag.ResultReason, tag.ResultMessage].map((each) => childrenOf(result, each)[0]?.value);
    if (reason === generalFailure && !foreseen.test(String(words)))
      throw new Finding(`a General Failure without a line in the log: ${words}`);
  }
}
