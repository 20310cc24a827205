import type { Log, NodeStore, Vector } from "../store/types.ts";
import type { MeshMember, PeerHead } from "./types.ts";

/** Rounds of pruning in one turn; each takes some milliseconds of the writer. */
const roundsMax = 50;
/** A member's position is written down again after so long even when it has not moved. */
const rememberMs = 600_000;

/** Options of `Pruner`. */
export interface PrunerOptions {
  readonly store: NodeStore;
  /** Operations stay in the log for at least so long. */
  readonly keepMs: number;
  /** A member that was not heard for so long is no longer waited for; it comes back by a snapshot. */
  readonly absentMs: number;
  readonly nowMs: () => number;
  readonly log: Log;
}

interface Remembered {
  readonly vector: Vector;
  readonly silentMs: number;
}

/** Takes from the logs what every member holds, so that what was destroyed is not sealed in them for ever. */
export class Pruner {
  /** Members that the logs are no longer kept for. */
  away: readonly string[] = [];
  readonly #options: PrunerOptions;
  readonly #written = new Map<string, { readonly text: string; readonly atMs: number }>();

  constructor(options: PrunerOptions) {
    this.#options = options;
  }

  /** One turn: remembers what the peers said, and prunes; returns how many operations are gone. */
  async turn(
    members: readonly MeshMember[],
    self: string,
    heads: ReadonlyMap<string, ReadonlyMap<string, PeerHead>>,
  ): Promise<number> {
    const others = members.filter(({ identity, standing }) => identity !== self && counts(standing));
    await this.#remember(
      others.map(({ identity }) => identity),
      heads,
    );
    // A joiner needs what came after its snapshot, from whomever it asks.
    if (members.some(({ standing }) => standing === "Joining")) return 0;
    const remembered = await this.#remembered();
    const { absentMs, keepMs, store } = this.#options;
    const isAway = ({ identity }: MeshMember) =>
      !heads.has(identity) && (remembered.get(identity)?.silentMs ?? 0) > absentMs;
    const away = others.filter(isAway);
    // Two parts of a fleet that gave each other up would each prune what the other lacks, and could never be one again: so
    // only the greater part does. The lesser one keeps its logs, from which the others have what it wrote meanwhile. To this
    // part belongs who is heard now: who is merely not given up yet may already be with the others.
    const heard = others.filter(({ identity }) => heads.has(identity));
    const isGreater = 2 * (heard.length + 1) > others.length + 1;
    this.#tellAway(
      away.map(({ name }) => name),
      isGreater,
    );
    const waitedFor = others.filter((member) => !(isGreater && isAway(member)));
    const vectors = waitedFor.map(({ identity }) => remembered.get(identity)?.vector);
    const common = new Map(
      [...store.vector()].map(([origin, seq]): [string, number] => [
        origin,
        Math.min(seq, ...vectors.map((vector) => vector?.get(origin) ?? 0)),
      ]),
    );
    let pruned = 0;
    for (let round = 0; round < roundsMax; round += 1) {
      const gone = await store.prune(common, keepMs);
      pruned += gone;
      if (gone === 0) break;
    }
    return pruned;
  }

  #tellAway(names: readonly string[], isGreater: boolean): void {
    for (const peer of names) {
      if (this.away.includes(peer)) continue;
      const remedy = isGreater
        ? "logs are no longer kept for it; it takes a snapshot when it is back, or remove it"
        : "logs are kept for it and grow, since half of the members or more are not heard; bring them back or remove them";
      this.#options.log({ level: "warn", event: "memberAwayTooLong", peer, remedy });
    }
    this.away = names;
  }

  /** In the database, for the time after a restart at which a member is away: all that is new in one transaction. */
  async #remember(
    identities: readonly string[],
    heads: ReadonlyMap<string, ReadonlyMap<string, PeerHead>>,
  ): Promise<void> {
    const now = this.#options.nowMs();
    const due = identities
      .map((identity) => ({ identity, isHeard: heads.has(identity), text: vectorText(heads.get(identity)) }))
      .filter(({ identity, isHeard, text }) => {
        const before = this.#written.get(identity);
        return before === undefined || (isHeard && (before.text !== text || now - before.atMs >= rememberMs));
      });
    if (due.length === 0) return;
    // A member that was never heard counts from now on as one that holds nothing.
    await this.#options.store.query(
      `with due as (select * from unnest($1::text[], $2::jsonb[], $3::boolean[]) as d (identity, vector, heard)),
         unheard as (insert into keyfleet.members (identity, vector)
           select d.identity, d.vector from due d where not d.heard on conflict (identity) do nothing)
       insert into keyfleet.members (identity, vector) select d.identity, d.vector from due d where d.heard
         on conflict (identity) do update set vector = excluded.vector, heard = clock_timestamp()`,
      [due.map(({ identity }) => identity), due.map(({ text }) => text), due.map(({ isHeard }) => isHeard)],
    );
    for (const { identity, text } of due) this.#written.set(identity, { text, atMs: now });
  }

  async #remembered(): Promise<ReadonlyMap<string, Remembered>> {
    const rows = await this.#options.store.query(
      "select identity, vector, extract(epoch from clock_timestamp() - heard) * 1000 as silent from keyfleet.members",
    );
    return new Map(
      rows.map((row): [string, Remembered] => [
        row.identity as string,
        {
          vector: new Map(Object.entries(row.vector as Record<string, number>)),
          silentMs: Number(row.silent),
        },
      ]),
    );
  }
}

/** Who takes part in the exchange; what a fenced member lacks it gets no more. */
function counts(standing: MeshMember["standing"]): boolean {
  return standing === "Joining" || standing === "Member" || standing === "Leaving";
}

function vectorText(heads: ReadonlyMap<string, PeerHead> | undefined): string {
  return JSON.stringify(Object.fromEntries([...(heads ?? [])].map(([origin, { seq }]) => [origin, seq])));
}
