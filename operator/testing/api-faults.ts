import { ApiError, apiErrorOf } from "../ports/kubernetes-api.ts";
import { pick } from "./random.ts";

/** What an API server, or what stands between, makes of a call. */
export type Misbehaviour =
  | "401"
  | "403"
  | "404"
  | "409"
  | "410"
  | "429"
  | "500"
  | "503"
  /** 200, and nothing that a Kubernetes API answers. */
  | "garbled"
  /** No answer until the deadline. */
  | "hangs"
  /** Done late. */
  | "slow"
  /** Done at once, and told late. */
  | "late"
  /** Done, and the answer is lost. */
  | "lost"
  | "refused"
  /** Of watches only, others take it as nothing: ended at once, silent for ever, an event of type ERROR, or nothing that is an event. */
  | "ends"
  | "stalls"
  | "error event"
  | "garbled event";

export interface Fault {
  readonly what: Misbehaviour;
}

const garbage: readonly unknown[] = [
  undefined,
  null,
  [],
  "ok",
  {},
  { metadata: null },
  { metadata: { name: 1 }, items: {} },
  { metadata: {}, items: [{ metadata: { name: "x" } }] },
  { kind: "PodList", metadata: { resourceVersion: "7" }, items: [{ metadata: { name: "x", uid: "x" } }] },
  { kind: "Pod", apiVersion: "v1", metadata: { name: "x", uid: "x", resourceVersion: "7" } },
  { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" },
];

const lines: readonly string[] = [
  "<html>",
  "{}",
  "null",
  '{"type":"ADDED"}',
  '{"type":"ADDED","object":{"metadata":{}}}',
  '{"type":"WHATEVER","object":{"metadata":{"name":"x"}}}',
  '{"type":"BOOKMARK","object":{"metadata":{}}}',
  '{"type":"ERROR","object":{"message":"no code"}}',
];

/** How a call ends, and when. */
export async function answer(
  { what }: Fault,
  given: {
    readonly perform: () => Promise<unknown>;
    readonly wait: (ms: number) => Promise<void>;
    readonly random: () => number;
  },
): Promise<unknown> {
  const { perform, wait, random } = given;
  switch (what) {
    case "hangs":
      return await wait(Number.POSITIVE_INFINITY);
    case "slow":
      await wait(random() * 6_000);
      return await perform();
    case "late": {
      const done = await perform();
      await wait(random() * 6_000);
      return done;
    }
    case "lost":
      await perform();
      throw new ApiError("unreachable", "ECONNRESET");
    case "refused":
      throw new ApiError("unreachable", "ECONNREFUSED");
    case "garbled":
      return pick(random, garbage);
    default:
      return Number(what) > 0 ? refuse(what) : await perform();
  }
}

/** How a watch goes. */
export async function follow(
  { what }: Fault,
  given: {
    readonly open: (stalled?: boolean) => Promise<void>;
    readonly onLine: (line: string) => void;
    readonly wait: (ms: number) => Promise<void>;
    readonly random: () => number;
  },
): Promise<void> {
  const { open, onLine, wait, random } = given;
  switch (what) {
    case "hangs":
      return await wait(Number.POSITIVE_INFINITY);
    case "ends":
      return;
    case "stalls":
      return await open(true);
    case "slow":
    case "late":
      await wait(700);
      return await open();
    case "refused":
    case "lost":
      throw new ApiError("unreachable", "ECONNREFUSED");
    case "error event":
      return onLine(JSON.stringify({ type: "ERROR", object: { code: 410, message: "too old resource version" } }));
    case "garbled":
    case "garbled event":
      return onLine(pick(random, lines));
    default:
      refuse(what);
  }
}

function refuse(what: string): never {
  throw apiErrorOf(Number(what), { message: `${what} for the test` });
}
