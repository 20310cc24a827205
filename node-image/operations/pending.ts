import { randomBytes } from "node:crypto";
import { Refusal } from "../objects/refusal.ts";

/** What became of a work that is asked for: its result, which can be given back if it did not reach the owner, or that it still runs. */
export type Polled =
  | { readonly kind: "done"; readonly result: unknown; giveBack(): void }
  | { readonly kind: "pending" };

/** KMIP Cancellation Result (9.1.3.2.25). */
export const cancellationResult = { canceled: 1, unableToCancel: 2, completed: 3, failed: 4, unavailable: 5 } as const;

/** Works whose results their callers fetch later (KMIP Poll and Cancel). They live in memory: a restart forgets them. */
export interface PendingWorks {
  /**
   * Starts a work; its correlation value. Refuses a caller that has too many. Before the work makes anything true it asks
   * `proceed`: false means that it was canceled, true that it no longer can be.
   */
  start(owner: string, work: (proceed: () => boolean) => Promise<unknown>, operation?: number): Buffer;
  /** The result, given once; or that there is none yet. Throws Refusal when nothing is known of it. */
  poll(owner: string, correlation: Buffer): Polled;
  cancel(owner: string, correlation: Buffer): number;
  /** Works whose results the owner has not fetched, oldest first. */
  list(owner: string): readonly PendingWork[];
  /** Resolves when the work is done. Rejects with Refusal when there is none. */
  done(owner: string, correlation: Buffer): Promise<void>;
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

/** Bounds of what waits in memory; results that nobody fetches are dropped by a timer. */
export const pendingLimits = { perCaller: 16, all: 256, keptMs: 600_000 } as const;

interface Work {
  readonly owner: string;
  readonly operation: number;
  readonly submittedMs: number;
  readonly finished: PromiseWithResolvers<void>;
  stage: "running" | "finishing" | "canceled";
  done?: { readonly result: unknown; readonly dropping: NodeJS.Timeout };
}

/** Makes an empty list; `forget` is given each result that is dropped unread. */
export function pendingWorks(nowMs: () => number, forget: (result: unknown) => void): PendingWorks {
  const works = new Map<string, Work>();
  /** Keeps a result for its time, which ends without anybody's asking: it may hold what must not stay in memory. */
  const keep = (key: string, work: Work, result: unknown) => {
    const drop = () => {
      works.delete(key);
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
    start: (owner, run, operation = 0) => {
      const own = [...works.values()].filter((work) => work.owner === owner).length;
      if (own >= pendingLimits.perCaller || works.size >= pendingLimits.all)
        throw new Refusal(
          "PermissionDenied",
          "Too many operations are pending: Poll those first",
          "ServerLimitExceeded",
        );
      const correlation = randomBytes(16);
      const key = correlation.toString("hex");
      const finished = Promise.withResolvers<void>();
      const work: Work = { owner, operation, submittedMs: nowMs(), finished, stage: "running" };
      works.set(key, work);
      const proceed = () => {
        if (work.stage === "running") work.stage = "finishing";
        return work.stage === "finishing";
      };
      run(proceed).then((result) => {
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
      return { kind: "done", result, giveBack: () => keep(key, work, result) };
    },
    list: (owner) => {
      const own = [...works].filter(([, work]) => work.owner === owner);
      return own.map(([key, { operation, submittedMs, done }]) => ({
        correlation: Buffer.from(key, "hex"),
        operation,
        submissionDate: submittedMs,
        stage: done === undefined ? processingStage.inProcess : processingStage.completed,
      }));
    },
    done: async (owner, correlation) => {
      const found = find(owner, correlation);
      if (found === undefined) throw unknownCorrelation();
      await found.work.finished.promise;
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

/** What is said of a value under which nothing is pending, or something of another caller. */
export function unknownCorrelation(): Refusal {
  return new Refusal(
    "ItemNotFound",
    "No operation is pending under this Asynchronous Correlation Value: its result is kept for ten minutes, given once, and lost by a restart",
    "InvalidAsynchronousCorrelationValue",
  );
}
