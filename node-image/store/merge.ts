import type { Keyring } from "../keys/types.ts";
import type { Change } from "../objects/types.ts";
import { effectOf, effectOfChange } from "./change.ts";
import { isDestroyed, join, nothing, type State } from "./law.ts";
import type { Root } from "./root.ts";
import { leafOf, makeRow, type Row } from "./row.ts";
import type { Operation } from "./types.ts";

/** An object as the database holds it. */
export interface Known {
  readonly state: State;
  readonly mac: Buffer;
  /** What its row adds to the root. */
  readonly leaf: Buffer;
}

/** A row to be written. */
export interface Changed {
  readonly row: Row;
  readonly state: State;
  /** What it replaces; undefined when there is nothing. */
  readonly before: Known | undefined;
  /** Sealed material to set; null: none; "keep": what the database holds. */
  readonly material: Buffer | null | "keep";
}

/** A row that was committed, with what it adds to the root and, in `before`, what it has replaced there. */
export type Committed = Changed & { readonly leaf: Buffer };

interface Work {
  readonly known: Known | undefined;
  state: State;
  material: Buffer | null | "keep";
}

/** Merges into objects whose rows are known; what it returns is a function of the states alone. */
export class Merge {
  readonly #known: ReadonlyMap<string, Known>;
  readonly #work = new Map<string, Work>();

  /** Objects that are not in the map are new. */
  constructor(known: ReadonlyMap<string, Known>) {
    this.#known = known;
  }

  /** Merges an operation that this software understands; its change where that is at hand, else it is decoded. */
  add(operation: Operation, change?: Change): void {
    const { state, sealed } = change === undefined ? effectOf(operation) : effectOfChange(operation, change);
    this.join(operation.object, state, sealed ?? null);
  }

  /** Merges a state, with the sealed material that its create brought. */
  join(id: string, state: State, sealed: Buffer | null): void {
    const work = this.#workOn(id);
    const joined = join(work.state, state);
    if (joined.born !== work.state.born) work.material = sealed;
    work.state = joined;
  }

  /** The rows that differ from what is known. */
  changed(keyring: Keyring): readonly Changed[] {
    return [...this.#work].flatMap(([id, { known, state, material }]) => {
      const row = makeRow(keyring, id, state);
      if (known?.mac.equals(row.mac) === true) return [];
      return { row, state, before: known, material: isDestroyed(state) ? null : material };
    });
  }

  #workOn(id: string): Work {
    const present = this.#work.get(id);
    if (present !== undefined) return present;
    const known = this.#known.get(id);
    const work: Work = { known, state: known?.state ?? nothing, material: known === undefined ? null : "keep" };
    this.#work.set(id, work);
    return work;
  }
}

/** Takes what is replaced out of the sum, adds what is new, and returns that with its leaf. */
export function summedUp(root: Root, changed: readonly Changed[]): readonly Committed[] {
  return changed.map((each) => {
    const leaf = leafOf(root, each.row);
    if (each.before !== undefined) root.toggle(each.before.leaf);
    root.toggle(leaf);
    return { ...each, leaf };
  });
}
