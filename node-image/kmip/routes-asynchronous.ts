import { Refusal } from "../objects/refusal.ts";
import { cancel, pendingOwner, processPending, queryAsynchronous } from "../operations/cancel.ts";
import type { Context } from "../operations/context.ts";
import { enumerations as known } from "./enumerations.ts";
import { list, one, optional, structure } from "./fields.ts";
import { type PendingResult, pendingAnswer, refusedBy, refusedResult, resultStatus, zero } from "./item-result.ts";
import { type Answer, type Route, route } from "./route.ts";
import { bytes, dateTimeExtended, enumeration, mapped } from "./shape.ts";
import { tag } from "./tags.ts";

const correlated = structure({ correlation: one(tag.AsynchronousCorrelationValue, bytes) });

const queryRequest = mapped(
  structure({
    values: optional(
      tag.AsynchronousCorrelationValues,
      structure({ list: list(tag.AsynchronousCorrelationValue, bytes) }),
    ),
    operations: optional(tag.Operations, structure({ list: list(tag.Operation, enumeration(known.operation)) })),
  }),
  ({ values, operations }) => ({ correlations: values?.list ?? [], operations: operations?.list ?? [] }),
  ({ correlations, operations }: { correlations: readonly Buffer[]; operations: readonly number[] }) => ({
    values: { list: correlations },
    operations: { list: operations },
  }),
);

/** Asynchronous Request (2.1, 7.2). */
const asynchronousRequest = structure({
  correlation: one(tag.AsynchronousCorrelationValue, bytes),
  operation: one(tag.Operation, enumeration(known.operation)),
  submissionDate: one(tag.SubmissionDate, dateTimeExtended),
  stage: one(tag.ProcessingStage, enumeration(known.processingStage)),
});

/** Fetching the results of operations that took their time (4.27, 4.28). */
export const asynchronousRoutes: readonly Route[] = [
  route({
    operation: 0x19,
    name: "Cancel",
    since: 10,
    request: correlated,
    run: cancel,
    response: structure({
      correlation: one(tag.AsynchronousCorrelationValue, bytes),
      result: one(tag.CancellationResult, enumeration(known.cancellationResult)),
    }),
  }),
  route({
    operation: 0x39,
    name: "Query Asynchronous Requests",
    since: 21,
    request: queryRequest,
    run: queryAsynchronous,
    response: structure({ requests: list(tag.AsynchronousRequest, asynchronousRequest) }),
  }),
  route({
    operation: 0x3a,
    name: "Process",
    since: 21,
    request: correlated,
    run: processPending,
    response: correlated,
  }),
  {
    operation: 0x1a,
    name: "Poll",
    since: 10,
    slow: false,
    run: async (payload, context, reading) => poll(correlated.read(payload, reading).correlation, context),
  },
];

/** The answer of the operation itself, also when that failed; the item's identifier is that of Poll. */
async function poll(correlation: Buffer, context: Context): Promise<Answer> {
  const polled = context.pending.poll(pendingOwner(context), correlation);
  if (polled.kind === "pending")
    return pendingAnswer({ status: resultStatus.pending, correlation: Buffer.from(correlation) });
  const result = polled.result as PendingResult;
  const refusal = await refusalNow(result, polled.giveBack);
  const { response, outcome } = refusal === undefined ? result : refusedResult(result, refusedBy(refusal, context));
  const { id: _, ...own } = response;
  if (refusal !== undefined) zero(result.answer);
  if (refusal !== undefined || result.answer === undefined) return pendingAnswer(own, outcome);
  return { ...result.answer, instead: { response: own, outcome }, giveBack: polled.giveBack };
}

/** Why the result is not handed out any more, if so. What cannot be judged now is kept. */
async function refusalNow({ answer, judge }: PendingResult, giveBack: () => void): Promise<Refusal | undefined> {
  if (answer === undefined) return undefined;
  try {
    await judge();
    return undefined;
  } catch (error) {
    if (error instanceof Refusal) return error;
    giveBack();
    throw error;
  }
}
