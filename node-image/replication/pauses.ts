import type { Surroundings } from "./surroundings.ts";

/** Waits, one at a time, until they are ended for good. */
export class Pauses {
  readonly #after: Surroundings["after"];
  #ended = false;
  #callOff: () => void = () => undefined;

  constructor(after: Surroundings["after"]) {
    this.#after = after;
  }

  pause(forMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#after(this.#ended ? 0 : forMs, resolve);
      this.#callOff = () => {
        cancel();
        resolve();
      };
    });
  }

  /** Ends the wait, and each later one at once. */
  end(): void {
    this.#ended = true;
    this.#callOff();
  }
}
