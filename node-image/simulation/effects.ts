import { effectOf } from "../store/change.ts";
import type { State } from "../store/law.ts";
import type { Operation } from "../store/types.ts";

/** What operations do, worked out once for all nodes of a simulation: each takes in the same ones, as objects of its own. */
export class Effects {
  readonly #known = new Map<string, { readonly operation: Operation; readonly state: State }[]>();

  of(operation: Operation): State {
    const { origin, seq } = operation;
    const key = `${origin}${seq}`;
    const known = this.#known.get(key) ?? [];
    const same = known.find((each) => isSame(each.operation, operation));
    if (same !== undefined) return same.state;
    const { state } = effectOf(operation);
    this.#known.set(key, [...known, { operation, state }]);
    return state;
  }
}

/** A node that was set back may have written another one under the same sequence. */
function isSame(one: Operation, other: Operation): boolean {
  return (
    one === other ||
    (one.hlc === other.hlc &&
      one.object === other.object &&
      one.kind === other.kind &&
      one.payload.equals(other.payload))
  );
}
