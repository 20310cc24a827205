import { Refusal } from "../objects/refusal.ts";

/** Runs work one after another for the same key, side by side for different keys. */
export type Serial = <Result>(key: string, work: () => Promise<Result>) => Promise<Result>;

/** Works that may wait for one key: more is a client that floods one object. */
const waitingMax = 64;

/** A keyed queue; a key that is at its limit is refused at once. */
export function serialQueue(most = waitingMax): Serial {
  const lines = new Map<string, { tail: Promise<unknown>; waiting: number }>();
  return async (key, work) => {
    const line = lines.get(key) ?? { tail: Promise.resolve(), waiting: 0 };
    if (line.waiting >= most) {
      throw new Refusal("PermissionDenied", "Too many changes of this object are waiting: try again in a second");
    }
    line.waiting += 1;
    lines.set(key, line);
    const turn = line.tail.then(work, work);
    line.tail = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      line.waiting -= 1;
      if (line.waiting === 0) lines.delete(key);
    }
  };
}
