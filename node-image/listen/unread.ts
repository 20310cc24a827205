/** Large answers that their clients have not taken yet, of all connections of a node. */
export interface UnreadAnswers {
  /** Counts an answer of so many bytes; `cut` closes its connection. The result is called when it was taken. */
  add(bytes: number, cut: () => void): () => void;
}

/** Why such a connection is closed, for the log. */
export const unreadReason = "others need the room of its unread answer";

/** Beyond the limit the oldest gives way: who reads is gone long before, who does not read holds what others need. */
export function unreadAnswers(bytesMax: number, smallBytes: number): UnreadAnswers {
  const unread = new Set<{ readonly bytes: number; readonly cut: () => void }>();
  let sum = 0;
  return {
    add: (bytes, cut) => {
      if (bytes <= smallBytes) return () => undefined;
      const answer = { bytes, cut };
      const gone = () => {
        if (unread.delete(answer)) sum -= bytes;
      };
      unread.add(answer);
      sum += bytes;
      for (const oldest of unread) {
        if (sum <= bytesMax || oldest === answer) break;
        unread.delete(oldest);
        sum -= oldest.bytes;
        oldest.cut();
      }
      return gone;
    },
  };
}
