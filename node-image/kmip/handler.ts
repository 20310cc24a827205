import { randomUUID } from "node:crypto";
import type { Caller } from "../access/identity.ts";
import { seconds } from "../objects/lifecycle.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Context } from "../operations/context.ts";
import { type CryptographyPolicy, cryptographyState } from "../operations/cryptography.ts";
import { PolicyReader } from "../operations/fleet-policy.ts";
import { keptBytes } from "../operations/kept-bytes.ts";
import type { KeyCache } from "../operations/key-cache.ts";
import { pendingWorks } from "../operations/pending.ts";
import { Pkcs11Applications } from "../operations/pkcs11-applications.ts";
import { serialQueue } from "../operations/serial.ts";
import { ServedObjects } from "../operations/served-objects.ts";
import { stagedBytesLimits } from "../operations/stage.ts";
import { searchLimits, turns } from "../operations/turns.ts";
import { UsageKeeper } from "../operations/usage-keeper.ts";
import { DecodeError, type Item, itemType } from "../ttlv/types.ts";
import type { ActivityLog } from "./activity.ts";
import { runBatch } from "./batch.ts";
import type { OperationMetrics } from "./batch-item.ts";
import { type AnswerAccount, type AnswerLimits, answerAccounts } from "./batch-size.ts";
import { type Encoding, ttlv } from "./encoding.ts";
import { forgetResult } from "./item-result.ts";
import { keyValueCodec } from "./key-block.ts";
import { type RequestHeader, requestHeader, responseMessage } from "./messages.ts";
import { protocolVersion } from "./protocol-version.ts";
import { type RequestsInWork, requestsInWork } from "./requests-in-work.ts";
import { failed } from "./results.ts";
import { router, versions } from "./router.ts";
import { expect, type Reading } from "./shape.ts";
import { tag, tagName } from "./tags.ts";

/** Bytes of a request in, bytes of its answer out; never rejects. The request's bytes are zeroed, the answer's are the caller's to zero. */
export type KmipHandler = (message: Buffer, caller: Caller, encoding?: Encoding) => Promise<Buffer>;

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
  /** Keys that were unsealed lately; given by who must be able to forget them at once, made here otherwise. */
  readonly keys?: KeyCache;
  /** One for each store, since it alone writes this node's entries; made here unless given. */
  readonly usage?: UsageKeeper;
  readonly log: Context["log"];
  readonly metrics?: OperationMetrics;
  /** Takes a line for each operation; absent: none is written. */
  readonly activity?: ActivityLog;
  readonly answers?: Partial<AnswerLimits>;
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
    pkcs11: new Pkcs11Applications(),
    policy: new PolicyReader(parts.store, () => now().getTime()),
    pending: pendingWorks(() => now().getTime(), forgetResult),
    staged: keptBytes(stagedBytesLimits),
    usage: parts.usage ?? new UsageKeeper({ store: parts.store, log: parts.log }),
    searches: turns(searchLimits, "searches among many objects are being made"),
    served: new ServedObjects({ store: parts.store, log: parts.log }),
    whenTrue: (work) => work(),
    log: parts.log,
    cryptography: cryptographyState(now, parts.cryptography, parts.keys),
    keyValues: keyValueCodec,
    firstAdministrators: parts.firstAdministrators ?? (() => []),
    server: {
      vendor: parts.vendor ?? "keyfleet",
      versions,
      operations: [...router].map(([operation, { since }]) => ({ operation, since })),
    },
  };
  const { metrics, activity } = parts;
  const accounts = answerAccounts(parts.answers);
  const inWork = requestsInWork();
  return (message, caller, encoding = ttlv) =>
    answer(message, caller, { shared, metrics, activity, encoding, accounts, inWork });
}

interface Surroundings {
  readonly shared: Omit<Context, "caller" | "version" | "operation">;
  readonly metrics: OperationMetrics | undefined;
  readonly activity: ActivityLog | undefined;
  readonly encoding: Encoding;
  readonly inWork: RequestsInWork;
  accounts(items: number): AnswerAccount;
}

async function answer(message: Buffer, caller: Caller, around: Surroundings): Promise<Buffer> {
  const { shared, encoding } = around;
  const timeStamp = seconds(shared.now());
  let version = oldest;
  let counted = 0;
  try {
    const request = encoding.decode(message);
    counted = around.inWork.add(request, message.length, caller.identity);
    const asked = versionOf(request);
    version = versions.find((each) => each <= asked) ?? oldest;
    if (version !== asked) throw notSpoken(versionName(asked));
    const { header, items } = parseRequest(request, version);
    const context = { ...shared, caller, version, operation: "" };
    return await runBatch({
      header,
      items,
      context,
      timeStamp,
      encoding,
      account: around.accounts(items.length),
      metrics: around.metrics,
      activity: around.activity,
    });
  } catch (error) {
    if (error instanceof DecodeError || error instanceof Refusal) {
      const { message: text } = error;
      shared.log({ level: "warn", event: "message-refused", caller: caller.subject, message: text, ...placeOf(error) });
    }
    const refused = failed(wholeMessage(error), { log: shared.log, version });
    return encoding.encode(responseMessage({ version, timeStamp }, [refused]));
  } finally {
    around.inWork.remove(counted, caller.identity);
    message.fill(0);
  }
}

/** The answer to bytes that are no message at all (11.1), for the door to send before it closes. */
export function invalidMessage(error: Error, encoding: Encoding = ttlv): Buffer {
  const around = { log: () => undefined, version: oldest };
  const item = failed(new Refusal("InvalidMessage", error.message), around);
  return encoding.encode(responseMessage({ version: oldest, timeStamp: seconds(new Date()) }, [item]));
}

/** Where bytes are no message, as fields for the log. */
export function placeOf(error: Error): { readonly offset?: number; readonly tag?: string } {
  return error instanceof DecodeError ? { offset: error.offset, tag: tagName(error.tag ?? 0) } : {};
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

function versionName(version: number): string {
  return `${Math.floor(version / 10)}.${version % 10}`;
}

function notSpoken(asked: string): Refusal {
  return new Refusal(
    "InvalidMessage",
    `KMIP ${asked} is not spoken here: use ${versions.toReversed().map(versionName).join(", ")}`,
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
  return { header, items };
}
