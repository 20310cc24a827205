import type { Json } from "../objects/types.ts";
import type { Operation, Vector } from "../store/types.ts";

/** What survives the end of a node's processes: the logs, gapless per origin, and whose node this is. */
export class Disk {
  readonly incarnation: string;
  readonly logs = new Map<string, Operation[]>();
  /** As an unlogged table: gone when PostgreSQL crashes. Identity → position of this node's log. */
  readonly positions = new Map<string, { readonly seq: number; readonly at: number }>();

  /** Ends of departed logs, as the store saves them. */
  fences: Json = [];

  constructor(incarnation: string) {
    this.incarnation = incarnation;
  }

  log(origin: string): Operation[] {
    const log = this.logs.get(origin) ?? [];
    this.logs.set(origin, log);
    return log;
  }

  /** Appends as a transaction does; that nothing is missing in between is for others to take care of, and for the checks. */
  append(operations: readonly Operation[]): void {
    for (const operation of operations) this.log(operation.origin).push(operation);
  }

  /** As keyfleet.vector reads it: the last sequence there is. */
  vector(): Vector {
    return new Map(
      [...this.logs].flatMap(([origin, log]) => (log.length === 0 ? [] : [[origin, log.at(-1)?.seq ?? 0] as const])),
    );
  }

  /** Behind a sequence, as mesh.pull gives them. */
  pull(origin: string, after: number, amount: number): readonly Operation[] {
    const log = this.logs.get(origin) ?? [];
    const first = log.findIndex(({ seq }) => seq > after);
    return first < 0 ? [] : log.slice(first, first + Math.min(amount, pullMax));
  }
}

const pullMax = 1_000;
