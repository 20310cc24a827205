import { Refusal } from "../objects/refusal.ts";
import { type StagedStore, stagedStore } from "../operations/staged-store.ts";
import type { Item } from "../ttlv/types.ts";
import { type ItemParts, runItem } from "./batch-item.ts";
import type { Encoding } from "./encoding.ts";
import { type ItemResult, resultStatus, zero } from "./item-result.ts";
import { type ResponseItem, responseMessage } from "./messages.ts";
import { failed } from "./results.ts";

/** A request message that was read. */
export interface Batch extends ItemParts {
  readonly items: readonly Item[];
  /** Of the answer, in seconds since 1970. */
  readonly timeStamp: number;
  readonly encoding: Encoding;
}

const onError = { continue: 1, stop: 2, undo: 3 } as const;

/** Does the items in order and writes their answers. */
export async function runBatch(batch: Batch): Promise<Buffer> {
  const { header, context } = batch;
  const undo = header.batchErrorContinuation === onError.undo;
  // What may have to be taken back is staged: an answer that the client cannot take was never given.
  if (!undo && header.maximumResponseSize === undefined) return written(batch, await runItems(batch));
  const stage = stagedStore(context.store);
  const results = await runItems({ ...batch, context: { ...context, store: stage.store } });
  const failure = results.some(({ answer }) => answer === undefined);
  return undo && failure ? written(batch, results.map(undone)) : fitting(batch, results, stage);
}

async function runItems(batch: Batch): Promise<ItemResult[]> {
  const results: ItemResult[] = [];
  let last: string | undefined;
  const all: string[] = [];
  const byOperation = new Map<number, readonly string[]>();
  for (const item of batch.items) {
    const result = await runItem(item, { last, all, byOperation }, batch);
    results.push(result);
    const { answer, operation } = result;
    // Stop is the default (6.13); items after the failed one are neither done nor answered.
    if (answer === undefined && batch.header.batchErrorContinuation !== onError.continue) break;
    if (answer === undefined) continue;
    last = answer.placeholder ?? last;
    all.push(...answer.identifiers);
    if (operation !== undefined && answer.identifiers.length > 0) byOperation.set(operation, answer.identifiers);
  }
  return results;
}

/** What was done before the failure is told as undone; its payload tells what it would have been. */
function undone(result: ItemResult): ItemResult {
  if (result.answer === undefined) return result;
  return { ...result, response: { ...result.response, status: resultStatus.undone } };
}

function written(batch: Batch, results: readonly ItemResult[]): Buffer {
  const { encoding, context, timeStamp } = batch;
  const responses = results.map(({ response }) => response);
  try {
    return encoding.encode(responseMessage({ version: context.version, timeStamp }, responses));
  } finally {
    for (const { answer } of results) zero(answer);
  }
}

/** Makes true what was staged, if its answer is no larger than the client can take (6.3). */
async function fitting(batch: Batch, results: readonly ItemResult[], stage: StagedStore): Promise<Buffer> {
  const { header, context, timeStamp, encoding } = batch;
  const most = header.maximumResponseSize ?? Number.POSITIVE_INFINITY;
  const response = written(batch, results);
  try {
    if (response.length <= most) {
      await stage.commit();
      return response;
    }
    throw new Refusal(
      "ResponseTooLarge",
      `The answer has ${response.length} bytes, over your Maximum Response Size ${most}; nothing was done`,
    );
  } catch (error) {
    response.fill(0);
    const reason = failed(error, { log: context.log, version: context.version });
    const items = results.map(({ response: { payload: _, ...head } }): ResponseItem => ({ ...head, ...reason }));
    return encoding.encode(responseMessage({ version: context.version, timeStamp }, items));
  }
}
