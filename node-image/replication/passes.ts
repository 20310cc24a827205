import { createHash } from "node:crypto";
import type { NodeStore } from "../store/types.ts";
import { oneAtATime } from "./one-at-a-time.ts";
import type { Surroundings } from "./surroundings.ts";
import type { MeshMember } from "./types.ts";

/** Digests only: who reads the database must not be able to show what they are of. */
const expected = `with given as (select * from unnest($1::text[], $2::text[]) as g (identity, digest)),
    gone as (delete from mesh.passes p where not exists (select from given g where g.identity = p.identity))
  insert into mesh.passes as p select * from given
    on conflict (identity) do update set digest = excluded.digest where p.digest <> excluded.digest`;

/** Options of `Passes`. */
export interface PassesOptions {
  readonly store: Pick<NodeStore, "pass" | "query">;
  /** This node's. */
  readonly identity: string;
  /** Of the members that are spoken to, this node not among them. */
  readonly others: () => readonly string[];
}

/**
 * What members show each other beside their certificates (store/pass.ts). This node's PostgreSQL knows by it the sessions of
 * a member from those of a thief of its certificate, whose many must not keep the member out (mesh.sql).
 */
export class Passes {
  readonly #options: PassesOptions;
  #known = "";

  constructor(options: PassesOptions) {
    this.#options = options;
  }

  /** Tells PostgreSQL whom to expect with what; does nothing while it knows. To be called again and again. */
  readonly expect = oneAtATime(async () => {
    const { store, identity, others } = this.#options;
    const passes = others().map((other) => [other, store.pass(other, identity)] as const);
    const digests = passes.flatMap(([other, pass]) => (pass === undefined ? [] : [[other, digestOf(pass)] as const]));
    const wanted = JSON.stringify(digests);
    // Without the master key what it knows may be right.
    if (wanted === this.#known || digests.length < passes.length) return;
    await store.query(expected, [digests.map(([other]) => other), digests.map(([, digest]) => digest)]);
    this.#known = wanted;
  });

  /** The database may be another one. */
  forget(): void {
    this.#known = "";
  }

  /** The same world, in which connections show this node's pass. */
  shownIn(surroundings: Surroundings): Surroundings {
    const shown = (peer: MeshMember) => this.#options.store.pass(this.#options.identity, peer.identity);
    return { ...surroundings, connect: (to) => surroundings.connect({ ...to, pass: shown(to.peer) }) };
  }
}

function digestOf(pass: string): string {
  return createHash("sha256").update(pass).digest("hex");
}
