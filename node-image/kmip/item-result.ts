import type { Context } from "../operations/context.ts";
import type { ResponseItem } from "./messages.ts";
import { failed, resultReason } from "./results.ts";
import type { Answer } from "./route.ts";

/** An item's answer; no `answer` means that it failed. */
export interface ItemResult {
  readonly operation: number | undefined;
  readonly response: ResponseItem;
  readonly answer: Answer | undefined;
  /** What the client is told, as a word for metrics and logs: "success", "pending", "undone" or the KMIP Result Reason. */
  readonly outcome: string;
  readonly durationMs: number;
}

/** KMIP Result Status (9.1.3.2.28). */
export const resultStatus = { success: 0, failed: 1, pending: 2, undone: 3 } as const;

/** Zeroes what an answer holds, once it is sent or given up. */
export function zero(answer: Answer | undefined): void {
  for (const secret of answer?.secrets ?? []) secret.fill(0);
}

/** Keeps what an answer holds for another time, or zeroes it: the client did not get it. */
export function notGiven(answer: Answer | undefined): void {
  if (answer?.giveBack === undefined) zero(answer);
  else answer.giveBack();
}

/** The result of an operation that was answered as pending, until it is polled. */
export interface PendingResult extends ItemResult {
  /** Rejects with Refusal where the operation would be refused by now: its answer must not be given. */
  judge(): Promise<void>;
}

/** Zeroes a pending result that nobody fetched. */
export function forgetResult(result: unknown): void {
  zero((result as PendingResult).answer);
}

/** An answer that has no payload of its own; `outcome` as in ItemResult. */
export function pendingAnswer(instead: ResponseItem, outcome = "pending"): Answer {
  const write = () => {
    throw new Error("a pending answer has no payload");
  };
  return { write, placeholder: undefined, identifiers: [], secrets: [], instead: { response: instead, outcome } };
}

/** How a failure is told. */
export interface Refused {
  readonly response: ResponseItem;
  readonly outcome: string;
}

/** How a failure is told; what was not foreseen is logged once by it. */
export function refusedBy(error: unknown, around: Pick<Context, "log" | "version">): Refused {
  return { response: failed(error, around), outcome: resultReason(error) };
}

/** The result as it is told when it did not come true after all. */
export function refusedResult({ response: { payload: _, ...head }, ...result }: ItemResult, by: Refused): ItemResult {
  return { ...result, response: { ...head, ...by.response }, answer: undefined, outcome: by.outcome };
}
