import { StoreError } from "../store/error.ts";
import { headsFrom } from "../store/head.ts";
import { type Intake, type SnapshotRow, type StoreMark, vectorOf } from "../store/intake.ts";
import { isUuid } from "../store/operation.ts";
import type { NodeStore, Operation, Vector } from "../store/types.ts";
import { fromWire } from "../store/wire.ts";
import type { Patience } from "./patience.ts";
import type { PeerConnection } from "./peer-connection.ts";
import { pullMax } from "./pulled.ts";

const keptMax = 10_000;
const keptMaxBytes = 64 * 1024 * 1024;
const zero = "00000000-0000-0000-0000-000000000000";

/** One snapshot in the making: reads a peer's objects and the log behind them until this node is where the peer was. */
export class Snapshot {
  objects = 0;
  /** About how many the peer has. */
  total = 0;
  readonly #connection: PeerConnection;
  readonly #store: NodeStore;
  readonly #identity: string;
  readonly #helps: (vector: Vector) => boolean;
  readonly #patience: Patience | undefined;

  /** `helps`: whether somebody who stands there has what is lacking here; default: everybody. `patience`: default: endless. */
  constructor(parts: {
    readonly connection: PeerConnection;
    readonly store: NodeStore;
    readonly identity: string;
    readonly helps?: (vector: Vector) => boolean;
    readonly patience?: Patience;
  }) {
    this.#connection = parts.connection;
    this.#store = parts.store;
    this.#identity = parts.identity;
    this.#helps = parts.helps ?? (() => true);
    this.#patience = parts.patience;
  }

  /** Goes on where an earlier one with the same peer ended. Rejects with StoreError "invalid" when the peer is not to be believed. */
  async run(): Promise<void> {
    const { intake } = this.#store;
    const mark = await this.#mark();
    const isGoingOn = intake.importing?.identity === this.#identity;
    if (!isGoingOn) await this.#begin(mark);
    const came = await this.#goOn(intake);
    if (came === "all") return;
    // What came of an earlier try may not be all that the peer sent, and is no reason to distrust it.
    if (came === "other" && !isGoingOn) throw invalid("sent other objects than it holds, or not all");
    // Or its logs no longer reach back to the rows that are here: it took a snapshot itself between that try and this one.
    await this.#begin(await this.#mark());
    const again = await this.#goOn(intake);
    if (again === "other") throw invalid("sent other objects than it holds, or not all");
    if (again === "noLog") throw invalid("does not send the log that it says to have");
  }

  /** What is here is set aside only for who shows that he has what is lacking: anybody can say that he has pruned it. */
  async #begin(mark: StoreMark): Promise<void> {
    const { intake } = this.#store;
    if (intake.isProved(mark) && !this.#helps(vectorOf(mark)))
      throw new StoreError("unavailable", "the peer does not hold what it said to hold");
    await intake.begin(this.#identity, mark);
  }

  /** Takes what is still to come; "noLog" when the peer does not have the log behind the rows that are here. */
  async #goOn(intake: Intake): Promise<"all" | "other" | "noLog"> {
    if (intake.importing?.stage === "rows") {
      await this.#rows(intake);
      await intake.rowsDone(await this.#kept());
    }
    return this.#tail(await this.#mark());
  }

  async #mark(): Promise<StoreMark> {
    const asked = await this.#within(askMark(this.#connection));
    if (asked === undefined) throw new Error("the peer takes in a snapshot itself");
    this.total = asked.objects;
    return asked.mark;
  }

  /** While one page is written the next is checked, and the one after that is on its way. */
  async #rows(intake: Intake): Promise<void> {
    let writing: Promise<void> = Promise.resolve();
    try {
      let after = intake.importing?.after ?? zero;
      for (let next = awaitedLater(this.#page(after)); ; ) {
        const rows = await next;
        const last = rows.at(-1);
        if (last === undefined) return await writing;
        next = awaitedLater(this.#page(last.id));
        const checked = await intake.checked(rows, after);
        after = last.id;
        await writing;
        writing = awaitedLater(intake.rows(checked));
        this.objects += rows.length;
      }
    } finally {
      // Whoever goes on later begins behind what is written then.
      await writing.catch(() => undefined);
    }
  }

  async #page(after: string): Promise<readonly SnapshotRow[]> {
    const rows = await this.#asked("select s from mesh.snapshot($1) s", [after]);
    let before = after;
    return rows.map((row) => {
      const parsed = asRow(JSON.parse(row.s as string), before);
      before = parsed.id;
      this.#patience?.came(parsed.state.length + (parsed.sealed?.length ?? 0));
      return parsed;
    });
  }

  async #asked(text: string, values: unknown[]): Promise<Record<string, unknown>[]> {
    return this.#within(this.#connection.query(text, values));
  }

  /** Each answer is in time by itself; the sum of them must be, too. */
  async #within<Answer>(asked: Promise<Answer>): Promise<Answer> {
    const answer = await (this.#patience?.over(asked) ?? asked);
    if (this.#patience?.isOver) throw new StoreError("unavailable", "the peer sends its snapshot too slowly");
    return answer;
  }

  #operations(rows: readonly Record<string, unknown>[], column: string): readonly Operation[] {
    const operations = rows.map((row) => asOperation(JSON.parse(row[column] as string)));
    for (const { payload } of operations) this.#patience?.came(payload.length);
    return operations;
  }

  async #kept(): Promise<readonly Operation[]> {
    const kept: Operation[] = [];
    for (let bytes = 0; ; ) {
      const last = kept.at(-1);
      const rows = await this.#asked("select k from mesh.kept($1, $2) k", [last?.origin ?? zero, last?.seq ?? 0]);
      if (rows.length === 0) return kept;
      const operations = this.#operations(rows, "k");
      kept.push(...operations);
      bytes += operations.reduce((sum, { payload }) => sum + payload.length, 0);
      if (kept.length > keptMax || bytes > keptMaxBytes)
        throw invalid("keeps too many operations that it does not understand");
    }
  }

  /** Up to the mark and not beyond: only there can both be compared. */
  async #tail(mark: StoreMark): Promise<"all" | "other" | "noLog"> {
    for (const { origin, seq } of mark.heads) {
      for (let mine = this.#position(origin); mine < seq; mine = this.#position(origin)) {
        const amount = Math.min(pullMax, seq - mine);
        const rows = await this.#asked("select p from mesh.pull($1, $2, $3) p", [origin, mine, amount]);
        const operations = this.#operations(rows, "p");
        if (operations.some((operation) => operation.origin !== origin))
          throw invalid("sends another log than was asked for");
        const ingested = await this.#store.ingest(operations, { importing: true });
        if (ingested.outcome === "refused") throw invalid(`sent an operation that is refused: ${ingested.reason}`);
        if (this.#position(origin) === mine) return "noLog";
      }
    }
    return (await this.#store.intake.confirm(mark)) ? "all" : "other";
  }

  #position(origin: string): number {
    const vector: Vector = this.#store.vector();
    return vector.get(origin) ?? 0;
  }
}

/** Where a peer stands, and about how many objects it has; undefined while it takes in a snapshot itself. */
export async function askMark(
  connection: PeerConnection,
): Promise<{ readonly mark: StoreMark; readonly objects: number } | undefined> {
  const [row] = await connection.query("select root, heads, objects from mesh.mark()");
  if (row === undefined) return undefined;
  return { mark: { root: row.root as Buffer, heads: headsFrom(row.heads as never) }, objects: Number(row.objects) };
}

/** It may fail before its turn to be awaited has come. */
function awaitedLater<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => undefined);
  return promise;
}

function asRow(value: unknown, before: string): SnapshotRow {
  const [id, state, mac, sealed] = Array.isArray(value) ? (value as unknown[]) : [];
  if (typeof id !== "string" || !isUuid(id) || id <= before) throw invalid("sent objects out of order");
  if (typeof state !== "string" || typeof mac !== "string") throw invalid("sent something that is no object");
  if (sealed !== null && typeof sealed !== "string") throw invalid("sent something that is no object");
  const material = sealed === null ? undefined : Buffer.from(sealed, "base64");
  return { id, state, mac: Buffer.from(mac, "base64"), sealed: material };
}

function asOperation(value: unknown): Operation {
  const operation = fromWire(value);
  if (operation === undefined) throw invalid("sent something that is no operation");
  return operation;
}

function invalid(what: string): StoreError {
  return new StoreError("invalid", `the snapshot is not taken: the peer ${what}`);
}
