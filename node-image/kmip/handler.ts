import { randomUUID } from "node:crypto";
import type { Caller } from "../access/identity.ts";
import { seconds } from "../objects/lifecycle.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Context } from "../operations/context.ts";
import { type CryptographyPolicy, cryptographyState } from "../operations/cryptography.ts";
import { serialQueue } from "../operations/serial.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { DecodeError, type Item, itemType } from "../ttlv/types.ts";
import { type RequestHeader, type ResponseItem, requestHeader, requestItem, responseMessage } from "./messages.ts";
import { protocolVersion } from "./protocol-version.ts";
import { failed, resultReason } from "./results.ts";
import type { Answer } from "./route.ts";
import { router, versions } from "./router.ts";
import { expect, type Reading } from "./shape.ts";
import { tag } from "./tags.ts";

/** Bytes of a request in, bytes of its answer out; never rejects. The request's bytes are zeroed, the answer's are the caller's to zero. */
export type KmipHandler = (message: Buffer, caller: Caller) => Promise<Buffer>;

/** What the handler needs of its surroundings. */
export interface HandlerParts {
  readonly store: Context["store"];
  readonly keyring: Context["keyring"];
  readonly now?: () => Date;
  readonly newId?: () => string;
  readonly vendor?: string;
  /** Certificate subjects of the first administrators; asked at each request, so that settings apply at once. */
  readonly firstAdministrators?: () => readonly string[];
  readonly cryptography?: Partial<CryptographyPolicy>;
  readonly log: Context["log"];
  readonly metrics?: OperationMetrics;
}

/** Counts and times operations; `result` is "success" or the KMIP Result Reason. */
export interface OperationMetrics {
  operation(name: string, result: string, seconds: number): void;
}

/** Items of one batch that are taken. */
const batchMax = 100;

/** Makes the KMIP door to the operations. */
export function kmipHandler(parts: HandlerParts): KmipHandler {
  const now = parts.now ?? (() => new Date());
  const shared: Omit<Context, "caller" | "version" | "operation"> = {
    store: parts.store,
    keyring: parts.keyring,
    now,
    newId: parts.newId ?? randomUUID,
    serial: serialQueue(),
    log: parts.log,
    cryptography: cryptographyState(now, parts.cryptography),
    firstAdministrators: parts.firstAdministrators ?? (() => []),
    server: {
      vendor: parts.vendor ?? "keyfleet",
      versions,
      operations: [...router].map(([operation, { since }]) => ({ operation, since })),
    },
  };
  return async (message, caller) => {
    try {
      return await answer(message, caller, { shared, metrics: parts.metrics });
    } finally {
      message.fill(0);
    }
  };
}

interface Surroundings {
  readonly shared: Omit<Context, "caller" | "version" | "operation">;
  readonly metrics: OperationMetrics | undefined;
}

async function answer(message: Buffer, caller: Caller, around: Surroundings): Promise<Buffer> {
  const { shared } = around;
  const timeStamp = seconds(shared.now());
  let version = oldest;
  try {
    const request = decode(message);
    const asked = versionOf(request);
    version = versions.find((each) => each <= asked) ?? oldest;
    if (version !== asked) throw notSpoken(`${Math.floor(asked / 10)}.${asked % 10}`);
    const { header, items } = parseRequest(request, version);
    const context = { ...shared, caller, version, operation: "" };
    return await runBatch({ header, items, context, timeStamp, metrics: around.metrics });
  } catch (error) {
    if (error instanceof DecodeError || error instanceof Refusal) {
      shared.log({ level: "warn", event: "message-refused", caller: caller.subject, message: error.message });
    }
    return encode(responseMessage({ version, timeStamp }, [failed(wholeMessage(error), { log: shared.log, version })]));
  }
}

/** The answer to bytes that are no message at all (11.1), for the door to send before it closes. */
export function invalidMessage(error: Error): Buffer {
  const around = { log: () => undefined, version: oldest };
  const item = failed(new Refusal("InvalidMessage", error.message), around);
  return encode(responseMessage({ version: oldest, timeStamp: seconds(new Date()) }, [item]));
}

/** What makes a whole message unreadable is an Invalid Message (11.1). */
function wholeMessage(error: unknown): unknown {
  return error instanceof DecodeError ? new Refusal("InvalidMessage", error.message) : error;
}

function unplaced(version: number): Reading {
  return { version, placeholders: { last: undefined } };
}

/** The protocol version comes first in every header of every version; it is read before anything that may differ. */
function versionOf(request: Item): number {
  if (request.tag !== tag.RequestMessage) throw new Refusal("InvalidMessage", "The message is not a Request Message");
  const header = expect(request, itemType.structure).value[0];
  const first = header?.tag === tag.RequestHeader ? expect(header, itemType.structure).value[0] : undefined;
  if (first?.tag !== tag.ProtocolVersion)
    throw new Refusal("InvalidMessage", "The Request Header has no Protocol Version");
  const { major, minor } = protocolVersion.read(first, unplaced(oldest));
  if (minor < 0 || minor > 9 || major < 0) throw notSpoken(`${major}.${minor}`);
  return major * 10 + minor;
}

/** A message that tells no version is answered in the form that everybody reads. */
const oldest = 10;

function notSpoken(asked: string): Refusal {
  return new Refusal(
    "InvalidMessage",
    `KMIP ${asked} is not spoken here: use 1.0 to 1.4, 2.0 or 2.1`,
    "UnsupportedProtocolVersion",
  );
}

function parseRequest(request: Item, version: number): { header: RequestHeader; items: readonly Item[] } {
  const [head, ...items] = expect(request, itemType.structure).value;
  if (head === undefined) throw new Refusal("InvalidMessage", "The message is empty");
  const header = requestHeader.read(head, unplaced(version));
  if (items.some((item) => item.tag !== tag.BatchItem) || items.length !== header.batchCount) {
    throw new Refusal("InvalidMessage", "Batch Count differs from the number of Batch Items");
  }
  if (items.length > batchMax)
    throw new Refusal("InvalidMessage", `A batch has at most ${batchMax} items: send several`);
  if (header.batchErrorContinuation === 3) {
    throw new Refusal(
      "FeatureNotSupported",
      "Batch Error Continuation Option Undo is not supported: use Stop or Continue",
    );
  }
  return { header, items };
}

interface Batch {
  readonly header: RequestHeader;
  readonly items: readonly Item[];
  readonly context: Context;
  readonly timeStamp: number;
  readonly metrics: OperationMetrics | undefined;
}

async function runBatch(batch: Batch): Promise<Buffer> {
  const { header, items, context, timeStamp } = batch;
  const secrets: Buffer[] = [];
  const responses: ResponseItem[] = [];
  let placeholder: string | undefined;
  try {
    for (const item of items) {
      const done = await runItem(item, placeholder, batch);
      responses.push(done.response);
      secrets.push(...(done.answer?.secrets ?? []));
      placeholder = done.answer?.placeholder ?? placeholder;
      // Stop is the default (6.13); items after the failed one are neither done nor answered.
      if (done.answer === undefined && header.batchErrorContinuation !== 1) break;
    }
    return fitting(encode(responseMessage({ version: context.version, timeStamp }, responses)), batch);
  } finally {
    for (const secret of secrets) secret.fill(0);
  }
}

/** Answers that are larger than the client can take are replaced by the news of it (6.3). */
function fitting(response: Buffer, { header, context, timeStamp }: Batch): Buffer {
  const most = header.maximumResponseSize;
  if (most === undefined || response.length <= most) return response;
  const bytes = response.length;
  response.fill(0);
  const refusal = new Refusal(
    "ResponseTooLarge",
    `The answer has ${bytes} bytes, over your Maximum Response Size ${most}`,
  );
  const item = failed(refusal, { log: context.log, version: context.version });
  return encode(responseMessage({ version: context.version, timeStamp }, [item]));
}

async function runItem(
  item: Item,
  placeholder: string | undefined,
  batch: Batch,
): Promise<{ response: ResponseItem; answer: Answer | undefined }> {
  const { context } = batch;
  const started = performance.now();
  const named = nameOf(item);
  const head = { ...(named.operation === undefined ? {} : { operation: named.operation }), ...named.id };
  let result = "success";
  let answer: Answer | undefined;
  try {
    answer = await run(item, placeholder, batch);
    const payload = answer.write(context.version);
    return { response: { ...head, status: 0, payload }, answer };
  } catch (error) {
    for (const secret of answer?.secrets ?? []) secret.fill(0);
    const response = { ...head, ...failed(error, { log: context.log, version: context.version }) };
    result = resultReason(error);
    return { response, answer: undefined };
  } finally {
    const name = router.get(named.operation ?? 0)?.name ?? "unknown";
    const elapsed = (performance.now() - started) / 1000;
    batch.metrics?.operation(name, result, elapsed);
  }
}

async function run(item: Item, placeholder: string | undefined, { header, context }: Batch): Promise<Answer> {
  const reading: Reading = { version: context.version, placeholders: { last: placeholder } };
  const { operation, id, payload, extension } = requestItem.read(item, reading);
  if (header.batchCount > 1 && id === undefined) {
    throw new Refusal("InvalidMessage", "Each item of a batch of several needs a Unique Batch Item ID");
  }
  if (extension.some(({ critical }) => critical)) {
    throw new Refusal("FeatureNotSupported", "A Message Extension that is marked critical is not understood here");
  }
  const route = router.get(operation);
  if (route === undefined || route.since > context.version) {
    throw new Refusal("OperationNotSupported", "This operation is not served: Query lists those that are");
  }
  return route.run(payload, { ...context, operation: route.name }, reading);
}

/** Operation and identifier of an item, also of one that is otherwise unreadable: clients match answers by them. */
function nameOf(item: Item): { operation: number | undefined; id: { id?: Buffer } } {
  const children = item.type === itemType.structure ? item.value : [];
  const operation = children.find((child) => child.tag === tag.Operation && child.type === itemType.enumeration);
  const id = children.find((child) => child.tag === tag.UniqueBatchItemID && child.type === itemType.byteString);
  return { operation: operation?.value as number | undefined, id: id === undefined ? {} : { id: id.value as Buffer } };
}
