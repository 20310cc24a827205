import type { PeerConnection } from "../replication/peer-connection.ts";
import { notificationMaxBytes } from "../store/wire.ts";
import type { SimulatedNode } from "./node.ts";

// As the real connection does: nothing for so long while an answer is awaited means that the way is dead.
const silenceMaxMs = 2_500;
const connectDeadlineMs = 3_000;
const retransmitMs = 200;

/** The network as a link sees it. */
export interface Wires {
  readonly after: (ms: number, work: () => void) => void;
  /** Whether packets get through now; a way is "from to". */
  readonly open: (way: string) => boolean;
  /** How long the next packet takes, ms. */
  readonly packetMs: () => number;
}

/** One TCP connection from a key server to a peer's PostgreSQL: in order, late, and dead when packets no longer pass. */
export class Link implements PeerConnection {
  readonly tlsGroup = "X25519MLKEM768";
  readonly #ways: Readonly<Record<"there" | "back", string>>;
  readonly #far: SimulatedNode;
  readonly #identity: string;
  readonly #wires: Wires;
  readonly #notified: (payload: string) => void;
  readonly #lost: (error: Error) => void;
  readonly #last = { there: 0, back: 0 };
  readonly #pending = new Set<(error: Error) => void>();
  readonly #nowMs: () => number;
  #heardMs: number;
  #listening = false;
  #dead = false;
  #watched = false;

  constructor(parts: {
    near: string;
    far: SimulatedNode;
    identity: string;
    wires: Wires;
    nowMs: () => number;
    notified: (payload: string) => void;
    lost: (error: Error) => void;
  }) {
    this.#ways = { there: `${parts.near} ${parts.far.name}`, back: `${parts.far.name} ${parts.near}` };
    this.#far = parts.far;
    this.#identity = parts.identity;
    this.#wires = parts.wires;
    this.#nowMs = parts.nowMs;
    this.#heardMs = parts.nowMs();
    this.#notified = parts.notified;
    this.#lost = parts.lost;
  }

  /** A round trip through the door of the far side; rejects when it is shut or nothing comes back in time. */
  async open(): Promise<void> {
    const deadline = new Promise<never>((_, reject) =>
      this.#wires.after(connectDeadlineMs, () => reject(new Error("no answer in time"))),
    );
    await Promise.race([this.#ask(() => this.#far.admit(this.#identity, this)), deadline]).catch((error) => {
      this.close();
      throw error;
    });
  }

  query(text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
    if (this.#dead) return Promise.reject(new Error("connection closed"));
    const lateMs = this.#far.answerMs(text);
    return this.#ask(() => this.#far.answer(this.#identity, text, values), lateMs).then((rows) => {
      if (text.startsWith("listen")) this.#listening = true;
      return rows;
    });
  }

  close(): void {
    this.#dead = true;
    this.#far.forget(this);
    for (const reject of [...this.#pending]) reject(new Error("connection closed"));
  }

  /** The far side has ended, or has thrown this one out. */
  reset(): void {
    this.#wires.after(this.#wires.packetMs(), () => this.#end(new Error("connection reset")));
  }

  /** The far side's log has grown by these operations, as the wire has them. */
  appended(texts: readonly string[]): void {
    if (!this.#listening) return;
    for (const text of texts) this.#send("back", () => this.#notified(text.length > notificationMaxBytes ? "" : text));
  }

  #ask<Answer>(question: () => Answer, lateMs = 0): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        this.#pending.delete(fail);
        reject(error);
      };
      this.#pending.add(fail);
      if (this.#pending.size === 1) this.#heardMs = this.#nowMs();
      this.#watch();
      this.#send("there", () => {
        let answer: Answer;
        try {
          answer = question();
        } catch (error) {
          this.#send("back", () => fail(error as Error));
          return;
        }
        const back = () =>
          this.#send("back", () => {
            this.#pending.delete(fail);
            resolve(answer);
          });
        if (lateMs === 0) back();
        else this.#wires.after(lateMs, back);
      });
    });
  }

  /** In order behind what was sent before; while the way is cut it is sent again and again. */
  #send(way: "there" | "back", arrive: () => void): void {
    const atMs = Math.max(this.#nowMs() + this.#wires.packetMs(), this.#last[way]);
    this.#last[way] = atMs;
    const attempt = () => {
      if (this.#dead) return;
      if (!this.#wires.open(this.#ways[way]) || !this.#far.reachable) {
        this.#last[way] = Math.max(this.#last[way], this.#nowMs() + retransmitMs);
        this.#wires.after(retransmitMs, attempt);
        return;
      }
      if (way === "back") this.#heardMs = this.#nowMs();
      arrive();
    };
    this.#wires.after(atMs - this.#nowMs(), attempt);
  }

  #watch(): void {
    if (this.#watched) return;
    this.#watched = true;
    this.#wires.after(silenceMaxMs, () => {
      this.#watched = false;
      if (this.#dead || this.#pending.size === 0) return;
      if (this.#nowMs() - this.#heardMs >= silenceMaxMs) this.#end(new Error("connection closed"));
      else this.#watch();
    });
  }

  #end(error: Error): void {
    if (this.#dead) return;
    this.close();
    this.#lost(error);
  }
}
