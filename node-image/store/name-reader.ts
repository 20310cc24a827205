import { fact, type Json } from "../objects/types.ts";
import { StoreError } from "./error.ts";
import type { Query } from "./read.ts";

/** Names of one query, and queries at once; what is asked for meanwhile goes into the next query together. */
const batchMax = 256;
const queriesMax = 2;
/** Objects that one name may find here; beyond it the search is made by itself. */
const holdersMax = 1_000;

// The inner query is fenced off (offset 0): the index of names decides, whatever PostgreSQL thinks of the owner's.
const text = `
  select n.at::integer as at, o.id
  from unnest($1::text[], $2::text[]) with ordinality as n (owner, name, at)
  cross join lateral (
    select i.id, i.created_hlc, i.created_origin
    from (select id, owner, facts, created_hlc, created_origin from keyfleet.objects
          where names @> n.name::jsonb offset 0) i
    where i.owner = n.owner and i.facts & ${fact.destroyed} = 0
    limit ${holdersMax + 1}
  ) o
  order by n.at, o.created_hlc desc, o.created_origin desc, o.id`;

interface Asked {
  readonly owner: string;
  /** An array with the name, as JSON. */
  readonly name: string;
  readonly resolve: (ids: readonly string[] | "tooMany") => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Finds which of an owner's objects have a name, for many requests in one query. Nothing is kept and no query that is under
 * way is shared: each answer holds all that was durable when it was asked for.
 */
export class NameReader {
  readonly #query: Query;
  #queue: Asked[] = [];
  #queries = 0;
  #scheduled = false;

  constructor(query: Query) {
    this.#query = query;
  }

  /** Identifiers, newest first, of objects that are not destroyed. Rejects with StoreError. */
  holders(owner: string, name: Json): Promise<readonly string[] | "tooMany"> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly string[] | "tooMany">();
    this.#queue.push({ owner, name: JSON.stringify([name]), resolve, reject });
    this.#schedule();
    return promise;
  }

  /** After all requests that came with this turn of the event loop have asked. */
  #schedule(): void {
    if (this.#scheduled || this.#queries >= queriesMax || this.#queue.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#queries += 1;
      void this.#run(this.#queue.splice(0, batchMax)).finally(() => {
        this.#queries -= 1;
        this.#schedule();
      });
      this.#schedule();
    });
  }

  async #run(some: readonly Asked[]): Promise<void> {
    try {
      const rows = await this.#query(text, [some.map(({ owner }) => owner), some.map(({ name }) => name)]);
      const found = some.map((): string[] => []);
      for (const { at, id } of rows) found[(at as number) - 1]?.push(id as string);
      for (const [at, ids] of found.entries()) some[at]?.resolve(ids.length > holdersMax ? "tooMany" : ids);
    } catch (error) {
      // A name that the database cannot take, or a damaged page, fails the whole query: each for itself.
      const alone = some.length > 1 && error instanceof StoreError && error.code !== "unavailable";
      for (const one of some) {
        if (alone) await this.#run([one]);
        else one.reject(error);
      }
    }
  }
}
