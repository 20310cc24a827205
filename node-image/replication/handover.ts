import { setTimeout as delay } from "node:timers/promises";
import type { NodeStore } from "../store/types.ts";
import { connectPeer, type PeerConnection } from "./peer-connection.ts";
import type { HandoverAnswer, HandoverErrorCode, HandoverRequest } from "./types.ts";

const askMs = 100;
const keptForMinutes = 5;

/** Why a joiner did not get the master key. */
export class HandoverError extends Error {
  override readonly name = "HandoverError";
  readonly code: HandoverErrorCode;

  constructor(code: HandoverErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Joiner's side: asks the sponsor for the master key wrapped for this node's HSM; rejects with HandoverError. */
export async function requestMasterKey(request: HandoverRequest): Promise<Buffer> {
  const { sponsor, tls, deadlineMs } = request;
  let connection: PeerConnection | undefined;
  let isOver = false;
  // One that sends a byte now and then makes each answer last for a minute.
  const timer = setTimeout(() => {
    isOver = true;
    connection?.close();
  }, deadlineMs);
  try {
    connection = await connectPeer({
      peer: sponsor,
      tls,
      notified: () => undefined,
      lost: () => undefined,
    });
    return await answerOf(connection, { sponsor: sponsor.name, isOver: () => isOver });
  } catch (error) {
    if (error instanceof HandoverError) throw error;
    if (isOver) {
      const message = `sponsor ${sponsor.name} did not answer within ${deadlineMs} ms; look at its log`;
      throw new HandoverError("deadline", message, { cause: error });
    }
    const message = `sponsor ${sponsor.name} cannot be asked for the master key: ${(error as Error).message}`;
    throw new HandoverError("unreachable", message, { cause: error });
  } finally {
    clearTimeout(timer);
    connection?.close();
  }
}

async function answerOf(
  connection: PeerConnection,
  { sponsor, isOver }: { readonly sponsor: string; readonly isOver: () => boolean },
): Promise<Buffer> {
  await connection.query("select mesh.request_master_key()");
  while (!isOver()) {
    const [row] = await connection.query("select wrapped, refusal from mesh.master_key()");
    if (Buffer.isBuffer(row?.wrapped)) return row.wrapped;
    if (row !== undefined)
      throw new HandoverError("refused", `sponsor ${sponsor} refuses the master key: ${row.refusal}`);
    await delay(askMs);
  }
  throw new Error("no answer in time");
}

/** Sponsor's side: answers the requests that wait; to be called at each notification on "handover". */
export async function answerHandovers(
  store: NodeStore,
  wrapFor: (identity: string) => Promise<HandoverAnswer>,
): Promise<void> {
  await store.query(
    `delete from mesh.handovers where requested < clock_timestamp() - interval '${keptForMinutes} minutes'`,
  );
  const waiting = await store.query("select identity from mesh.handovers where wrapped is null and refusal is null");
  for (const row of waiting) {
    const identity = row.identity as string;
    const answer = await wrapFor(identity).catch((error: Error) => ({ refusal: error.message }));
    const columns = "wrapped" in answer ? [answer.wrapped, null] : [null, answer.refusal];
    await store.query("update mesh.handovers set wrapped = $2, refusal = $3 where identity = $1", [
      identity,
      ...columns,
    ]);
  }
}
