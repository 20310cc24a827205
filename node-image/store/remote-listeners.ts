import type { Operation } from "./types.ts";

/** Hears of which objects others' operations have changed. */
type Listener = (ids: readonly string[]) => void;

/** Who wants to hear of operations of other nodes that set an attribute whose name begins with a marker. */
export class RemoteListeners {
  readonly #all: { readonly marker: string; readonly listener: Listener }[] = [];

  add(marker: string, listener: Listener): void {
    this.#all.push({ marker, listener });
  }

  /** These have come, and are taken in up to that sequence. */
  tell(operations: readonly Operation[], position: number): void {
    for (const { marker, listener } of this.#all) {
      const marked = operations.filter(({ seq, payload }) => seq <= position && payload.includes(`"${marker}`));
      if (marked.length > 0) listener([...new Set(marked.map(({ object }) => object))]);
    }
  }
}
