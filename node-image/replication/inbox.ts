import type { Operation } from "../store/types.ts";
import { fromWire } from "../store/wire.ts";
import type { Surroundings } from "./surroundings.ts";

const operationsMax = 2_000;
const bytesMax = 8 * 1024 * 1024;

/** Operations that came inside notifications, until they are taken in; what does not fit is asked for later. */
export class Inbox {
  #operations: Operation[] = [];
  #bytes = 0;
  #mustAsk = false;
  /** Something came since this was set to false. */
  news = false;
  #wake: (() => void) | undefined;
  #ended = false;
  readonly #after: Surroundings["after"];

  constructor(after: Surroundings["after"]) {
    this.#after = after;
  }

  /** A notification of the peer; anything but an operation just says that there is something to ask for. */
  heard(payload: string): void {
    const operation = this.#mustAsk ? undefined : parse(payload);
    this.news = true;
    this.#bytes += payload.length;
    if (operation === undefined || this.#operations.length >= operationsMax || this.#bytes > bytesMax) this.ask();
    else this.#operations.push(operation);
    this.#wake?.();
  }

  /** Forgets what came and asks the peer instead. */
  ask(): void {
    this.#mustAsk = true;
    this.#operations = [];
    this.#bytes = 0;
  }

  /** What came since the last call: operations of the origin in a row, or that the peer must be asked. */
  take(origin: string): { readonly ask: boolean; readonly operations: readonly Operation[] } {
    const taken = {
      ask: this.#mustAsk,
      operations: this.#operations.filter((operation) => operation.origin === origin),
    };
    this.#mustAsk = false;
    this.#operations = [];
    this.#bytes = 0;
    return taken;
  }

  /**
   * Resolves at the next notification with what came along with it, or at the end; soon when something waits already. At
   * rest no timer runs for it.
   */
  async something(): Promise<void> {
    if (!this.#ended && !this.#mustAsk && this.#operations.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    // What its origin wrote together comes in pieces: one transaction takes it in, and one acknowledgement is sent for it.
    if (!this.#ended) await new Promise<void>((resolve) => this.#after(0, resolve));
  }

  /** Nothing comes any more: ends the wait, and each later one at once. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }
}

function parse(payload: string): Operation | undefined {
  if (payload === "") return undefined;
  try {
    return fromWire(JSON.parse(payload));
  } catch {
    return undefined;
  }
}
