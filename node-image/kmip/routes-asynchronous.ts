import { cancel } from "../operations/cancel.ts";
import { enumerations as known } from "./enumerations.ts";
import { one, structure } from "./fields.ts";
import { type ItemResult, pendingAnswer, resultStatus } from "./item-result.ts";
import { type Route, route } from "./route.ts";
import { bytes, enumeration } from "./shape.ts";
import { tag } from "./tags.ts";

const correlated = structure({ correlation: one(tag.AsynchronousCorrelationValue, bytes) });

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
  {
    operation: 0x1a,
    name: "Poll",
    since: 10,
    slow: false,
    run: async (payload, context, reading) => {
      const { correlation } = correlated.read(payload, reading);
      const polled = context.pending.poll(context.caller.identity, correlation);
      if (polled.kind === "pending")
        return pendingAnswer({ status: resultStatus.pending, correlation: Buffer.from(correlation) });
      const { response, answer } = polled.result as ItemResult;
      // The answer of the operation itself, also when that failed.
      return { ...(answer ?? pendingAnswer(response)), instead: response };
    },
  },
];
