import type { Operation } from "../store/types.ts";
import { fromWire } from "../store/wire.ts";

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

  /** A notification of the peer; anything but an operation just says that there is something to ask for. */
  heard(payload: string): void {
    const operation = parse(payload);
    this.news = true;
    this.#bytes += payload.length;
    if (operation === undefined || this.#operations.length >= operationsMax || this.#bytes > bytesMax) this.ask();
    else if (!this.#mustAsk) this.#operations.push(operation);
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

  /** Resolves at the next notification, or at the end; at once when something waits already. At rest no timer runs for it. */
  async something(): Promise<void> {
    if (this.#ended || this.#mustAsk || this.#operations.length > 0) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
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
