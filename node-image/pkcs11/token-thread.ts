import { parentPort, workerData } from "node:worker_threads";
import { HsmError } from "../hsm/hsm-error.ts";
import { fieldCounts, unpackFields } from "../hsm-wire/messages.ts";
import { makeJoinKey, unwrapJoin } from "./join-key.ts";
import { initialize, type Library, loadLibrary, openSession } from "./library.ts";
import { choiceOf, TokenKeeper } from "./opening.ts";
import { calling, TokenFailure } from "./return-values.ts";
import { type SealingToken, seal, unseal } from "./sealing.ts";
import type { CustodySettings, ThreadAnswer, ThreadCommand, ThreadOrder } from "./thread-messages.ts";
import { findToken } from "./token.ts";
import { Trouble } from "./trouble.ts";
import { findWrappingKey } from "./wrapping-key.ts";

/*
 * One thread of the sidecar. All calls into the library are synchronous and happen here, one at a time, in a session
 * that belongs to this thread alone: a library that hangs, hangs this thread and nothing else.
 */
const settings = workerData as CustodySettings;
const keeper = new TokenKeeper(settings);
let library: Library | undefined;
let attached: SealingToken | undefined;

parentPort?.on("message", (order: ThreadOrder) => {
  const answer = answerTo(order);
  const moved = answer.kind === "done" || answer.kind === "lost" ? [answer.payload.buffer] : [];
  parentPort?.postMessage(answer, moved);
});

function answerTo(order: ThreadOrder): ThreadAnswer {
  if (order.command === "open") return { kind: "status", status: keeper.open() };
  if (order.command === "probe") return { kind: "status", status: keeper.probe() };
  try {
    const payload = withOneRetry(order);
    order.payload.fill(0);
    return { kind: "done", payload };
  } catch (error) {
    return refusal(error, order);
  }
}

/** A session that ended by itself is opened anew, once; everything worse is for the custodian. */
function withOneRetry(order: ThreadOrder): Uint8Array<ArrayBuffer> {
  try {
    return carriedOut(order);
  } catch (error) {
    if (!(error instanceof TokenFailure) || error.remedy !== "retry" || attached === undefined) throw error;
    attach(attached.key.checkValue);
    return carriedOut(order);
  }
}

function carriedOut(order: ThreadOrder): Uint8Array<ArrayBuffer> {
  const fields = fieldsOf(order);
  const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = fields;
  switch (order.command) {
    case "attach":
      attach(order.keyCheckValue ?? "");
      return Buffer.alloc(0);
    case "seal":
      return movable(seal(session(), first, second));
    case "unseal":
      return movable(unseal(session(), first, second));
    case "random":
      return movable(random(first));
    case "unwrapJoin":
      return movable(unwrapJoin(session(), settings.keyLabel, first));
    case "makeJoinKey":
      return movable(makeJoinKey(keeper.opened(), settings));
    default:
      throw new HsmError("refused", "an order that this thread does not know");
  }
}

function fieldsOf(order: ThreadOrder): Buffer[] {
  const command: ThreadCommand = order.command;
  if (command === "attach" || command === "open" || command === "probe") return [];
  const payload = Buffer.from(order.payload.buffer, order.payload.byteOffset, order.payload.byteLength);
  const fields = unpackFields(payload, fieldCounts[command]);
  if (fields === undefined) throw new HsmError("refused", `a "${command}" request whose fields cannot be read`);
  return fields;
}

/** Opens this thread's own session on what the keeper opened; the login counts for the whole process. */
function attach(keyCheckValue: string): void {
  attached = undefined;
  library ??= loadLibrary(settings.library);
  initialize(library);
  const token = findToken(library, choiceOf(settings));
  const open = { library, token, session: openSession(library, token.slot) };
  const key = findWrappingKey(open, settings.keyLabel);
  if (key === undefined || key.checkValue !== keyCheckValue)
    throw new Trouble("DeviceLost", "the wrapping key is not to be seen in a new session");
  attached = { ...open, key };
}

function session(): SealingToken {
  if (attached === undefined) throw new Trouble("Starting", "this thread has no session");
  return attached;
}

function random(lengthField: Buffer): Buffer {
  const { library, session: handle } = session();
  return calling(() => library.C_GenerateRandom(handle, Buffer.alloc(lengthField.readUInt32BE(0))));
}

function refusal(error: unknown, order: ThreadOrder): ThreadAnswer {
  if (error instanceof HsmError) {
    order.payload.fill(0);
    return { kind: "refused", code: error.code, message: error.message };
  }
  if (error instanceof TokenFailure && error.remedy === "data") {
    order.payload.fill(0);
    return { kind: "refused", code: "refused", message: `the token cannot do "${order.command}" (${error.message})` };
  }
  if (error instanceof TokenFailure || error instanceof Trouble) {
    return { kind: "lost", cause: error.message, payload: order.payload };
  }
  order.payload.fill(0);
  return {
    kind: "refused",
    code: "refused",
    message: `the sidecar failed (${error instanceof Error ? error.name : "unknown error"})`,
  };
}

/** Only memory of its own can be moved to another thread; Node's shared pool cannot. */
function movable(bytes: Buffer): Uint8Array<ArrayBuffer> {
  if (bytes.byteOffset === 0 && bytes.buffer.byteLength === bytes.length) return bytes as Uint8Array<ArrayBuffer>;
  const own = Buffer.alloc(bytes.length);
  bytes.copy(own);
  bytes.fill(0);
  return own;
}
