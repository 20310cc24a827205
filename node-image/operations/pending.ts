import { randomBytes } from "node:crypto";
import { Refusal } from "../objects/refusal.ts";
import { keptBytes } from "./kept-bytes.ts";

/** What became of a work that is asked for: its result, which can be given back if it did not reach the owner, or that it still runs. */
export type Polled =
  | { readonly kind: "done"; readonly result: unknown; giveBack(): void }
  | { readonly kind: "pending" };

/** KMIP Cancellation Result (9.1.3.2.25). */
export const cancellationResult = { canceled: 1, unableToCancel: 2, completed: 3, failed: 4, unavailable: 5 } as const;

/** Works whose results their callers fetch later (KMIP Poll and Cancel). They live in memory: a restart forgets them. */
export interface PendingWorks {
  /** Starts a work; its correlation value. Refuses a caller that has too many, or too much in them. */
  start(owner: string, work: (proceed: Proceed) => Promise<unknown>, asked?: Asked): Buffer;
  /** The result, given once; or that there is none yet. Throws Refusal when nothing is known of it. */
  poll(owner: string, correlation: Buffer): Polled;
  cancel(owner: string, correlation: Buffer): number;
  /** Works whose results the owner has not fetched, oldest first. */
  list(owner: string): readonly PendingWork[];
  /** Resolves when the work is done. Rejects with Refusal when there is none, or when too many requests wait so. */
  done(owner: string, correlation: Buffer): Promise<void>;
}

/**
 * Asked by a work before it makes anything true, with the bytes of its result: whether it may, and can no longer be canceled;
 * or why not.
 */
export type Proceed = (resultBytes: number) => "may" | "canceled" | "noRoom";

/** KMIP Operation of a work, and the bytes of its request, which are kept until it is done. */
export interface Asked {
  readonly operation: number;
  readonly bytes: number;
}

/** What Query Asynchronous Requests tells of one. */
export interface PendingWork {
  readonly correlation: Buffer;
  /** KMIP Operation. */
  readonly operation: number;
  /** Milliseconds since 1970. */
  readonly submissionDate: number;
  /** KMIP Processing Stage. */
  readonly stage: number;
}

/** KMIP Processing Stage (2.1, 11.39); a work begins as soon as it is submitted. */
const processingStage = { inProcess: 2, completed: 3 } as const;

/** Bounds of what waits in memory besides those of bytes; results that nobody fetches are dropped by a timer. */
export const pendingLimits = { perCaller: 16, all: 256, keptMs: 600_000 } as const;
/** Requests that wait at once until a work is done: each keeps its place among those in work, of which others need most. */
export const waitingLimits = { perCaller: 16, all: 64 } as const;

interface Work {
  readonly owner: string;
  readonly operation: number;
  readonly submittedMs: number;
  readonly finished: PromiseWithResolvers<void>;
  stage: "running" | "finishing" | "canceled";
  /** That are kept for it now: of its request, then of its result. */
  bytes: number;
  done?: { readonly result: unknown; readonly dropping: NodeJS.Timeout };
}

/** Makes an empty list; `forget` is given each result that is dropped unread. */
export function pendingWorks(nowMs: () => number, forget: (result: unknown) => void): PendingWorks {
  const works = new Map<string, Work>();
  const room = keptBytes();
  const waiting = waitingRequests();
  /** From now on so many bytes are kept for it. */
  const keepBytes = (work: Work, bytes: number, always = false) => {
    const fits = room.resize(work.owner, work.bytes, bytes, always);
    if (fits) work.bytes = bytes;
    return fits;
  };
  /** Keeps a result for its time, which ends without anybody's asking: it may hold what must not stay in memory. */
  const keep = (key: string, work: Work, result: unknown) => {
    const drop = () => {
      works.delete(key);
      keepBytes(work, 0);
      forget(result);
    };
    work.done = { result, dropping: setTimeout(drop, pendingLimits.keptMs).unref() };
    works.set(key, work);
  };
  const find = (owner: string, correlation: Buffer) => {
    const key = correlation.toString("hex");
    const work = works.get(key);
    return work === undefined || work.owner !== owner ? undefined : { key, work };
  };
  return {
    start: (owner, run, { operation, bytes } = nothing) => {
      const own = [...works.values()].filter((work) => work.owner === owner).length;
      const tooMany = own >= pendingLimits.perCaller || works.size >= pendingLimits.all;
      if (tooMany || !room.resize(owner, 0, bytes)) throw tooMuchPending();
      const correlation = randomBytes(16);
      const key = correlation.toString("hex");
      const finished = Promise.withResolvers<void>();
      const work: Work = { owner, operation, submittedMs: nowMs(), finished, stage: "running", bytes };
      works.set(key, work);
      const proceed: Proceed = (resultBytes) => {
        if (work.stage === "canceled") return "canceled";
        if (!keepBytes(work, resultBytes)) return "noRoom";
        work.stage = "finishing";
        return "may";
      };
      run(proceed).then((result) => {
        // What failed has no result but a message.
        if (work.stage !== "finishing") keepBytes(work, 0);
        if (works.get(key) === work) keep(key, work, result);
        else forget(result);
        finished.resolve();
      });
      return correlation;
    },
    poll: (owner, correlation) => {
      const found = find(owner, correlation);
      if (found === undefined) throw unknownCorrelation();
      const { key, work } = found;
      if (work.done === undefined) return { kind: "pending" };
      const { result, dropping } = work.done;
      clearTimeout(dropping);
      works.delete(key);
      const { bytes } = work;
      keepBytes(work, 0);
      const giveBack = () => {
        keepBytes(work, bytes, true);
        keep(key, work, result);
      };
      return { kind: "done", result, giveBack };
    },
    list: (owner) => [...works].filter(([, work]) => work.owner === owner).map(([key, work]) => listed(key, work)),
    done: async (owner, correlation) => {
      const found = find(owner, correlation);
      if (found === undefined) throw unknownCorrelation();
      if (found.work.done === undefined) await waiting(owner, found.work.finished.promise);
    },
    cancel: (owner, correlation) => {
      const found = find(owner, correlation);
      if (found === undefined) return cancellationResult.unavailable;
      if (found.work.done !== undefined) return cancellationResult.completed;
      if (found.work.stage === "finishing") return cancellationResult.unableToCancel;
      found.work.stage = "canceled";
      works.delete(found.key);
      found.work.finished.resolve();
      return cancellationResult.canceled;
    },
  };
}

function listed(key: string, { operation, submittedMs, done }: Work): PendingWork {
  return {
    correlation: Buffer.from(key, "hex"),
    operation,
    submissionDate: submittedMs,
    stage: done === undefined ? processingStage.inProcess : processingStage.completed,
  };
}

const nothing: Asked = { operation: 0, bytes: 0 };

/** What is said to a caller whose pending operations are as many, or as large, as they may be. */
export function tooMuchPending(): Refusal {
  return new Refusal(
    "PermissionDenied",
    "Too many operations are pending, or their results are too large together: Poll those first",
    "ServerLimitExceeded",
  );
}

/** Waits for a promise in the place of one request, if the owner has one left. Rejects with Refusal. */
function waitingRequests(): (owner: string, end: Promise<void>) => Promise<void> {
  const owners: string[] = [];
  return async (owner, end) => {
    const own = owners.filter((each) => each === owner).length;
    if (own >= waitingLimits.perCaller || owners.length >= waitingLimits.all) throw tooManyWait();
    owners.push(owner);
    await end;
    owners.splice(owners.indexOf(owner), 1);
  };
}

function tooManyWait(): Refusal {
  const text = "Too many requests wait for pending operations: Poll instead, until they are done";
  return new Refusal("PermissionDenied", text, "ServerLimitExceeded");
}

/** What is said of a value under which nothing is pending, or something of another caller. */
export function unknownCorrelation(): Refusal {
  return new Refusal(
    "ItemNotFound",
    "No operation is pending under this Asynchronous Correlation Value: its result is kept for ten minutes, given once, and lost by a restart",
    "InvalidAsynchronousCorrelationValue",
  );
}
