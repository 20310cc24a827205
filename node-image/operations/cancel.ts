import { Refusal } from "../objects/refusal.ts";
import type { Context } from "./context.ts";
import { cancellationResult, type PendingWork, unknownCorrelation } from "./pending.ts";

/** KMIP Cancel (4.27). */
export interface CancelRequest {
  readonly correlation: Buffer;
}

/** KMIP Cancellation Result (9.1.3.2.25). */
export interface CancelResponse {
  readonly correlation: Buffer;
  readonly result: number;
}

/** KMIP Query Asynchronous Requests (2.1, 6.1.43): which of the caller's; none named means all. */
export interface QueryAsynchronousRequest {
  readonly correlations: readonly Buffer[];
  readonly operations: readonly number[];
}

/**
 * Whose pending operations the caller has to do with: its own, also those that it asked for by a ticket. By a ticket it has to
 * do with none: they concern objects that the ticket may not name.
 */
export function pendingOwner({ caller, delegation }: Pick<Context, "caller" | "delegation">): string {
  if (delegation === undefined) return caller.identity;
  throw new Refusal("PermissionDenied", "Pending operations belong to who asked for them: leave the ticket out");
}

/** Lists the caller's pending operations, and those whose results wait for Poll. */
export async function queryAsynchronous(
  { correlations, operations }: QueryAsynchronousRequest,
  context: Context,
): Promise<{ readonly requests: readonly PendingWork[] }> {
  const own = context.pending.list(pendingOwner(context));
  const named = (each: PendingWork) =>
    correlations.length === 0 || correlations.some((correlation) => correlation.equals(each.correlation));
  const asked = (each: PendingWork) => operations.length === 0 || operations.includes(each.operation);
  return { requests: own.filter((each) => named(each) && asked(each)) };
}

/** KMIP Process (2.1, 6.1.41): waits until a pending operation is done; Poll then has its result. */
export async function processPending({ correlation }: CancelRequest, context: Context): Promise<CancelRequest> {
  await context.pending.done(pendingOwner(context), correlation);
  return { correlation: Buffer.from(correlation) };
}

/** Stops a pending operation of the caller's, if it has not made anything true yet. */
export async function cancel({ correlation }: CancelRequest, context: Context): Promise<CancelResponse> {
  const result = context.pending.cancel(pendingOwner(context), correlation);
  // 1.x has a word for it among the results (9.1.3.2.25), the test cases of 2.1 have a failure.
  if (result === cancellationResult.unavailable && context.version >= 20) throw unknownCorrelation();
  return { correlation: Buffer.from(correlation), result };
}
