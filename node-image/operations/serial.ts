import { Refusal } from "../objects/refusal.ts";

/** Runs work one after another for the same key, side by side for different keys; `caller` is whose part of the line it takes. */
export type Serial = <Result>(key: string, work: () => Promise<Result>, caller?: string) => Promise<Result>;

/** Works that may wait for one key: more is a client that floods one object. */
const waitingMax = 64;
/** Those of one caller: who may revoke an object must find a place behind one that floods it. */
const waitingOfCallerMax = 48;

/** A keyed queue; a key that is at its limit is refused at once. */
export function serialQueue(most = waitingMax): Serial {
  const lines = new Map<string, { tail: Promise<unknown>; readonly waiting: (string | undefined)[] }>();
  return async (key, work, caller) => {
    const line = lines.get(key) ?? { tail: Promise.resolve(), waiting: [] };
    const { waiting } = line;
    const own = caller === undefined ? 0 : waiting.filter((each) => each === caller).length;
    if (waiting.length >= most || own >= waitingOfCallerMax) {
      throw new Refusal("PermissionDenied", "Too many changes of this object are waiting: try again in a second");
    }
    waiting.push(caller);
    lines.set(key, line);
    const turn = line.tail.then(work, work);
    line.tail = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      waiting.splice(waiting.indexOf(caller), 1);
      if (waiting.length === 0) lines.delete(key);
    }
  };
}
