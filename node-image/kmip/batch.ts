import { Refusal } from "../objects/refusal.ts";
import { type Stage, stageOver } from "../operations/stage.ts";
import { encodedBytes } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";
import { deferral } from "./batch-deferral.ts";
import { type ItemParts, refuseItem, runItem, tell } from "./batch-item.ts";
import type { AnswerAccount } from "./batch-size.ts";
import type { Encoding } from "./encoding.ts";
import { type ItemResult, notGiven, refusedBy, refusedResult, resultStatus, zero } from "./item-result.ts";
import { type ResponseItem, responseMessage } from "./messages.ts";
import { resultReason } from "./results.ts";
import { router } from "./router.ts";

/** A request message that was read. */
export interface Batch extends ItemParts {
  readonly items: readonly Item[];
  /** Of the answer, in seconds since 1970. */
  readonly timeStamp: number;
  readonly encoding: Encoding;
  readonly account: AnswerAccount;
}

const check = 0x09;
const onError = { continue: 1, stop: 2, undo: 3 } as const;

/** Does the items in order and writes their answers. Rejects with Refusal. */
export async function runBatch(asked: Batch): Promise<Buffer> {
  const undo = asked.header.batchErrorContinuation === onError.undo;
  const batch = canWait(asked, undo) ? { ...asked, deferral: deferral(asked.context) } : asked;
  // What may have to be taken back is staged: an answer that the client cannot take was never given.
  if (undo || batch.header.maximumResponseSize !== undefined) return written(batch, await staged(batch, undo));
  const results = await runItems(batch);
  batch.deferral?.decide(true);
  return written(batch, results);
}

async function staged(batch: Batch, undo: boolean): Promise<readonly ItemResult[]> {
  const stage = stageOver(batch.context);
  try {
    const results = await runItems({ ...batch, context: { ...batch.context, ...stage.effects } });
    const failure = results.some(({ answer }) => answer === undefined);
    if (!undo || !failure) return await madeTrue(batch, results, stage);
    batch.deferral?.decide(false);
    return results.map(undone);
  } finally {
    stage.close();
  }
}

/** Whether items may be pending when the batch is answered: what succeeds or fails together must be done by then. */
function canWait({ header: { asynchronous }, items }: Batch, undo: boolean): boolean {
  const together = undo && items.length > 1;
  if (together && asynchronous === "mandatory") {
    throw new Refusal(
      "FeatureNotSupported",
      "Operations that are pending cannot be undone: leave Undo or the Asynchronous Indicator out",
    );
  }
  return !together && (asynchronous === "mandatory" || asynchronous === "optional");
}

async function runItems(batch: Batch): Promise<ItemResult[]> {
  const results: ItemResult[] = [];
  let last: string | undefined;
  const all: string[] = [];
  const byOperation = new Map<number, readonly string[]>();
  for (const item of batch.items) {
    const refusal = batch.account.refusal();
    const placeholders = { last, all, byOperation };
    const result = refusal === undefined ? await runItem(item, placeholders, batch) : refuseItem(item, refusal, batch);
    batch.account.add(result);
    results.push(result);
    const { answer, operation, response } = result;
    // Stop is the default (6.13); items after the failed one are neither done nor answered.
    if (answer === undefined && batch.header.batchErrorContinuation !== onError.continue) break;
    // What names an object takes the place of what was named before, also if it found none or several (4.9), failed, or waits.
    // A Check that failed empties the placeholder, so that nothing goes on with the object (4.10).
    if (setsPlaceholder(response) || (answer === undefined && operation === check)) last = answer?.placeholder;
    if (answer === undefined) continue;
    all.push(...answer.identifiers);
    if (operation !== undefined) byOperation.set(operation, answer.identifiers);
  }
  return results;
}

/** Also of the answer to a Poll, which is that of the operation polled. */
function setsPlaceholder({ operation }: ResponseItem): boolean {
  return router.get(operation ?? 0)?.setsPlaceholder === true;
}

/**
 * What was done before the failure is told as undone; its payload tells what it would have been. An object is not handed out by
 * it: it would be on its way, and fresh as it was before.
 */
function undone(result: ItemResult): ItemResult {
  const { answer, response } = result;
  if (answer === undefined) return result;
  const told = { ...result, response: { ...response, status: resultStatus.undone }, outcome: "undone" };
  if (answer.judge === undefined) return told;
  notGiven(answer);
  const { payload: _, ...head } = told.response;
  return { ...told, response: head, answer: undefined };
}

function messageOf({ context, timeStamp }: Batch, results: readonly ItemResult[]): Item {
  const responses = results.map(({ response }) => response);
  return responseMessage({ version: context.version, timeStamp }, responses);
}

/** Writes the answers, and then tells the logs and counters what the client is told. */
function written(batch: Batch, results: readonly ItemResult[]): Buffer {
  let told = results;
  try {
    return batch.encoding.encode(messageOf(batch, results));
  } catch (error) {
    told = results.map((result) => ({ ...result, outcome: resultReason(error) }));
    throw error;
  } finally {
    batch.account.close();
    for (const [at, result] of told.entries()) tell(batch.items[at] as Item, result, batch);
    for (const { answer } of results) zero(answer);
  }
}

/** Makes true what was staged, if its answer is no larger than the client can take (6.3), counted as TTLV in every encoding. */
async function madeTrue(batch: Batch, results: readonly ItemResult[], stage: Stage): Promise<readonly ItemResult[]> {
  const most = batch.header.maximumResponseSize ?? Number.POSITIVE_INFINITY;
  try {
    const bytes = encodedBytes(messageOf(batch, results));
    if (bytes > most) {
      throw new Refusal(
        "ResponseTooLarge",
        `The answer has ${bytes} bytes, over your Maximum Response Size ${most}; nothing was done`,
      );
    }
    await stage.commit();
    batch.deferral?.decide(true);
    return results;
  } catch (error) {
    batch.deferral?.decide(false);
    for (const { answer } of results) notGiven(answer);
    const by = refusedBy(error, batch.context);
    return results.map((result) => refusedResult(result, by));
  }
}
