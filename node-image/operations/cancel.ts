import type { Context } from "./context.ts";

/** KMIP Cancel (4.27). */
export interface CancelRequest {
  readonly correlation: Buffer;
}

/** KMIP Cancellation Result (9.1.3.2.25). */
export interface CancelResponse {
  readonly correlation: Buffer;
  readonly result: number;
}

/** Stops a pending operation of the caller's, if it has not made anything true yet. */
export async function cancel({ correlation }: CancelRequest, context: Context): Promise<CancelResponse> {
  const result = context.pending.cancel(context.caller.identity, correlation);
  return { correlation: Buffer.from(correlation), result };
}
