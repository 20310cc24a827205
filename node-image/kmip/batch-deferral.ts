import { Refusal } from "../objects/refusal.ts";
import type { Context } from "../operations/context.ts";
import { mustBeHandedOut } from "../operations/handed-out.ts";
import { type Proceed, tooMuchPending } from "../operations/pending.ts";
import { type Effects, stageOver } from "../operations/stage.ts";
import { encodedBytes } from "../ttlv/encode.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { answerMemory } from "./batch-size.ts";
import {
  type ItemResult,
  type PendingResult,
  pendingAnswer,
  refusedBy,
  refusedResult,
  resultStatus,
  zero,
} from "./item-result.ts";
import { memoryOf } from "./memory-of.ts";
import type { RequestHeader } from "./messages.ts";
import type { Answer, Route } from "./route.ts";
import type { Placeholders } from "./shape.ts";

/** What the items of a batch share that are answered as pending. */
export interface Deferral {
  /** Those of the node itself: a stage of the batch is gone when they are done. */
  readonly effects: Effects;
  /** Whether the batch came true. Until then none of them begins, so that an answer that is too large leaves nothing. */
  readonly decided: Promise<boolean>;
  /** Correlation values of those that the batch started. */
  readonly started: Buffer[];
  /** Lets them begin, or cancels all of them. */
  decide(cameTrue: boolean): void;
}

/** Made for each batch whose client can wait. */
export function deferral({ store, usage, whenTrue, pending, caller }: Context): Deferral {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const started: Buffer[] = [];
  return {
    effects: { store, usage, whenTrue },
    decided: promise,
    started,
    decide: (cameTrue) => {
      if (!cameTrue) for (const correlation of started) pending.cancel(caller.identity, correlation);
      resolve(cameTrue);
    },
  };
}

/** What a work needs of its request. */
export interface Request {
  readonly item: Item;
  readonly placeholders: Placeholders;
  readonly header: RequestHeader;
}

/** How the item of a request is done, and the context in which it is done. */
interface Doing {
  /** Never rejects. */
  run(request: Request, effects: Effects): Promise<ItemResult>;
  /** Counts and logs what became of it. */
  tell(request: Request, result: ItemResult): void;
  /** Rejects with Refusal. */
  contextOf(request: Request, effects: Effects): Context | Promise<Context>;
}

interface Around {
  readonly route: Route;
  readonly context: Context;
  readonly deferral: Deferral;
}

/** Answers at once with a number under which the result can be fetched; what is canceled leaves nothing. */
export function defer(request: Request, { route, context, deferral }: Around, doing: Doing): Answer {
  const { effects, decided, started } = deferral;
  const { operation } = route;
  const work = async (own: Request, proceed: Proceed): Promise<PendingResult> => {
    if (!(await decided)) return neverBegun;
    const result = await madeTrue((staged) => doing.run(own, staged), proceed, { ...context, ...effects });
    doing.tell(own, result);
    const judge = async () => {
      const { answer } = result;
      if (answer === undefined) return;
      const { identifiers, secrets } = answer;
      const now = await doing.contextOf(own, effects);
      await mustBeHandedOut({ identifiers, secret: secrets.length > 0 }, now);
      await answer.judge?.(now);
    };
    return { ...result, judge };
  };
  const correlation = context.pending.start(
    context.caller.identity,
    (proceed) => {
      const own = ownRequest(request);
      return work(own, proceed).finally(() => wipe(own.item));
    },
    { operation, bytes: encodedBytes(request.item) + memoryOf(request.item) },
  );
  started.push(correlation);
  return pendingAnswer({ operation, status: resultStatus.pending, correlation });
}

const neverBegun: PendingResult = {
  operation: undefined,
  response: { status: resultStatus.failed },
  answer: undefined,
  outcome: "pending",
  durationMs: 0,
  judge: async () => undefined,
};

/** Does it on a stage of its own, which comes true unless it failed or was canceled. */
async function madeTrue(
  run: (effects: Effects) => Promise<ItemResult>,
  proceed: Proceed,
  context: Context,
): Promise<ItemResult> {
  const stage = stageOver(context);
  try {
    const result = await run(stage.effects);
    if (result.answer === undefined) return result;
    const verdict = proceed(answerMemory(result));
    if (verdict !== "may") return notTrue(result, verdict === "canceled" ? canceled() : tooMuchPending(), context);
    return await stage.commit().then(
      () => result,
      (error) => notTrue(result, error, context),
    );
  } finally {
    stage.close();
  }
}

function notTrue(result: ItemResult, error: unknown, context: Context): ItemResult {
  zero(result.answer);
  return refusedResult(result, refusedBy(error, context));
}

function canceled(): Refusal {
  return new Refusal("OperationCanceledByRequester", "The operation was canceled");
}

/** The request with bytes of its own, since those of the message are zeroed when it is answered; identifiers as they are now. */
function ownRequest({ item, placeholders, header }: Request): Request {
  const { all = [], byOperation = new Map() } = placeholders;
  const { authentication } = header;
  return {
    item: ownItem(item),
    placeholders: { ...placeholders, all: [...all], byOperation: new Map(byOperation) },
    header: authentication === undefined ? header : { ...header, authentication: ownItem(authentication) },
  };
}

function ownItem(item: Item): Item {
  if (item.type === itemType.structure) return { ...item, value: item.value.map(ownItem) };
  if (item.type !== itemType.byteString) return item;
  const value = Buffer.alloc(item.value.length);
  item.value.copy(value);
  return { ...item, value };
}

function wipe(item: Item): void {
  if (item.type === itemType.structure) for (const child of item.value) wipe(child);
  else if (item.type === itemType.byteString) item.value.fill(0);
}
