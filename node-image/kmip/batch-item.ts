import { Refusal } from "../objects/refusal.ts";
import type { Context } from "../operations/context.ts";
import type { Effects } from "../operations/stage.ts";
import { withTicket } from "../operations/ticket.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { type ActivityLog, activityOf, loggable } from "./activity.ts";
import { type Deferral, defer, type Request } from "./batch-deferral.ts";
import { type ItemResult, resultStatus, zero } from "./item-result.ts";
import { type RequestHeader, requestItem } from "./messages.ts";
import { ticketIn } from "./payloads-access.ts";
import { withoutStorageMasks } from "./protection-storage.ts";
import { failed, resultReason } from "./results.ts";
import type { Answer, Route } from "./route.ts";
import { router } from "./router.ts";
import type { Placeholders, Reading } from "./shape.ts";
import { tag } from "./tags.ts";
import { withTemplates } from "./templates.ts";

/** Counts and times operations, as their clients are told of them; `result` is "success", "pending", "undone" or the KMIP Result Reason. */
export interface OperationMetrics {
  operation(name: string, result: string, seconds: number): void;
}

/** What the items of a batch share. */
export interface ItemParts {
  readonly header: RequestHeader;
  readonly context: Context;
  readonly metrics: OperationMetrics | undefined;
  readonly activity: ActivityLog | undefined;
  /** Present if the client can wait for results. */
  readonly deferral?: Deferral | undefined;
}

/** Does one item; never rejects. What became of it is told by `tell`, once it is decided. */
export async function runItem(item: Item, placeholders: Placeholders, parts: ItemParts): Promise<ItemResult> {
  const { context } = parts;
  const started = performance.now();
  const { operation, id } = nameOf(item);
  let answer: Answer | undefined;
  try {
    answer = await run(item, placeholders, parts);
    const { instead } = answer;
    const done = { operation, answer, durationMs: performance.now() - started };
    if (instead !== undefined) return { ...done, response: { ...instead.response, ...id }, outcome: instead.outcome };
    const payload = answer.write(context.version);
    return {
      ...done,
      response: { ...headOf(operation, id), status: resultStatus.success, payload },
      outcome: "success",
    };
  } catch (error) {
    zero(answer);
    return refused(item, error, context, started);
  }
}

/** Answers an item that is not begun. */
export function refuseItem(item: Item, refusal: Refusal, { context }: ItemParts): ItemResult {
  return refused(item, refusal, context, performance.now());
}

function refused(item: Item, error: unknown, context: Context, started: number): ItemResult {
  const { operation, id } = nameOf(item);
  const response = { ...headOf(operation, id), ...failed(error, context) };
  const durationMs = performance.now() - started;
  return { operation, response, answer: undefined, outcome: resultReason(error), durationMs };
}

function headOf(operation: number | undefined, id: { readonly id?: Buffer }) {
  return { ...(operation === undefined ? {} : { operation }), ...id };
}

/** Counts an item and writes its line, as its client is told of it: not before its batch is decided. */
export function tell(item: Item, result: ItemResult, { context, metrics, activity }: ItemParts): void {
  const { operation, outcome, durationMs, answer, response } = result;
  const name = router.get(operation ?? 0)?.name ?? "unknown";
  metrics?.operation(name, outcome, durationMs / 1000);
  activity?.(() => ({
    ...activityOf(item, context, outcome === "success" ? answer?.placeholder : undefined),
    operation: name,
    result: outcome,
    ...(response.message === undefined ? {} : { reason: loggable(response.message) }),
    durationMs: Math.round(durationMs * 1000) / 1000,
  }));
}

/** Throws or rejects with Refusal. Each promise between a request and its answer is a turn through all that are in work: none without need. */
function run(item: Item, placeholders: Placeholders, parts: ItemParts): Promise<Answer> {
  const { header, context } = parts;
  const reading: Reading = { version: context.version, placeholders };
  const { operation, ephemeral, id, payload, extension } = requestItem.read(item, reading);
  if (header.batchCount > 1 && id === undefined) {
    throw new Refusal("InvalidMessage", "Each item of a batch of several needs a Unique Batch Item ID");
  }
  if (extension.some(({ critical }) => critical)) {
    throw new Refusal(
      "FeatureNotSupported",
      "A Message Extension that is marked critical is not understood here",
      "UnknownMessageExtension",
    );
  }
  if (ephemeral === true)
    throw new Refusal("FeatureNotSupported", "Ephemeral results are not supported: leave Ephemeral out");
  const route = router.get(operation);
  if (route === undefined || route.since > context.version) {
    throw new Refusal("OperationNotSupported", "This operation is not served: Query lists those that are");
  }
  return after(contextOf(route, header, context), (own) => {
    if (parts.deferral !== undefined && isDeferred(route, header)) {
      return Promise.resolve(deferred({ item, placeholders, header }, route, parts, parts.deferral));
    }
    const plain = context.version < 20 ? withTemplates(payload, own) : withoutStorageMasks(payload, reading);
    return after(plain, (given) => route.run(given, own, reading));
  });
}

function deferred(request: Request, route: Route, parts: ItemParts, deferral: Deferral): Answer {
  const { context } = parts;
  const by = (effects: Effects): Context => ({ ...context, ...effects });
  return defer(
    request,
    { route, context, deferral },
    {
      run: ({ item, placeholders, header }, effects) =>
        runItem(item, placeholders, { ...parts, header, deferral: undefined, context: by(effects) }),
      tell: ({ item }, result) => tell(item, result, parts),
      contextOf: ({ header }, effects) => contextOf(route, header, by(effects)),
    },
  );
}

/** Goes on with a value at once, with what is promised when it is there. */
function after<Value, Result>(value: Value | Promise<Value>, go: (value: Value) => Promise<Result>): Promise<Result> {
  return value instanceof Promise ? value.then(go) : go(value);
}

/** In which an operation is done: by the caller, or by a ticket for another. Rejects with Refusal. */
function contextOf({ name }: Route, { authentication }: RequestHeader, context: Context): Context | Promise<Context> {
  const plainly = { ...context, operation: name };
  if (authentication === undefined) return plainly;
  const reading: Reading = { version: context.version, placeholders: { last: undefined } };
  const ticket = ticketIn(authentication, reading);
  return ticket === undefined ? plainly : withTicket(ticket, plainly);
}

/** 1.x says whether the client can wait for a result (6.7); 2.x also that it must (2.1, 11.3). */
function isDeferred({ slow, name }: Route, { asynchronous }: RequestHeader): boolean {
  if (manages.has(name)) return false;
  return asynchronous === "mandatory" || (asynchronous === "optional" && slow);
}

/** What deals with pending operations is never one itself. */
const manages: ReadonlySet<string> = new Set(["Poll", "Cancel", "Process", "Query Asynchronous Requests"]);

/** Operation and identifier of an item, also of one that is otherwise unreadable: clients match answers by them. */
function nameOf(item: Item): { operation: number | undefined; id: { id?: Buffer } } {
  const children = item.type === itemType.structure ? item.value : [];
  const operation = children.find((child) => child.tag === tag.Operation && child.type === itemType.enumeration);
  const id = children.find((child) => child.tag === tag.UniqueBatchItemID && child.type === itemType.byteString);
  return { operation: operation?.value as number | undefined, id: id === undefined ? {} : { id: id.value as Buffer } };
}
