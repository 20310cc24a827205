import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import { type Audit, auditKept, type Checking, checkRows, isWhole, pageBehind, rootFound, vectorIn } from "./audit.ts";
import { StoreError } from "./error.ts";
import { Findings, whyNotWhole } from "./findings.ts";
import type { Alone } from "./intake.ts";
import type { Follower, Ledger } from "./ledger.ts";
import type { Committed } from "./merge.ts";
import { beforeAll } from "./pages.ts";
import type { Root } from "./root.ts";

// Rest after each page, so that clients are served meanwhile: a page takes some milliseconds, of the writer as well, and
// nothing waits for the end. A million objects take ten minutes.
const restMs = 50;

type Page = Awaited<ReturnType<typeof pageBehind>>;

/** Options of `RunningAudit`. */
export interface RunningAuditOptions {
  readonly ledger: Ledger;
  readonly alone: Alone;
}

/**
 * Checks the rows of a store that is being written: each against its MAC, the search columns against the rows, all rows
 * against the root. It holds no snapshot of the database, in which everything that is overwritten meanwhile would stay and
 * be looked through by each commit; it reads page after page between two commits, and of what is committed later behind
 * the page it hears from the ledger.
 */
export class RunningAudit implements Follower {
  readonly #options: RunningAuditOptions;
  readonly #findings = new Findings();
  #sum: Root | undefined;
  /** Up to here rows were read. */
  #after = beforeAll;

  constructor(options: RunningAuditOptions) {
    this.#options = options;
  }

  /** What was read before counts as it is now; what comes later is read later. */
  committed(rows: readonly Committed[]): void {
    const sum = this.#sum as Root;
    for (const { row, before, leaf } of rows) {
      if (row.id > this.#after) continue;
      if (before !== undefined) sum.toggle(before.leaf);
      sum.toggle(leaf);
    }
  }

  /**
   * Rejects with StoreError "noMasterKey" or "damaged", and with "unavailable" when the database is read anew meanwhile: then
   * nobody knows what was missed.
   */
  async run(): Promise<Audit> {
    const { ledger, alone } = this.#options;
    const findings = this.#findings;
    const damagedObjects: string[] = [];
    let objects = 0;
    await alone(async () => this.#begin());
    try {
      for (;;) {
        const page = await alone((client) => this.#page(client));
        if (page === "lost") throw new StoreError("unavailable", "the database was read anew during the audit");
        if ("whole" in page) {
          const { texts, total } = findings;
          return { objects, operations: 0, damagedObjects, whole: page.whole, findings: texts, findingsTotal: total };
        }
        damagedObjects.push(...(await checkRows(page.rows, this.#checking())));
        objects += page.rows.length;
        await delay(restMs);
      }
    } finally {
      if (ledger.follower === this) ledger.follower = undefined;
    }
  }

  #begin(): void {
    const { ledger } = this.#options;
    this.#sum = ledger.toAudit.root.copy("empty");
    ledger.follower = this;
  }

  #checking(): Checking {
    return { keyring: this.#options.ledger.toAudit.keyring, findings: this.#findings, sum: this.#sum as Root };
  }

  /** The next rows; behind the last, at the same moment, what they come to. A failure here would end the connection. */
  async #page(client: pg.Client): Promise<{ readonly rows: Page } | { readonly whole: boolean } | "lost"> {
    if (this.#options.ledger.follower !== this) return "lost";
    const rows = await pageBehind(client, this.#after);
    const last = rows.at(-1);
    if (last === undefined) {
      const whole = await this.#isWhole(client);
      // In the same turn: a snapshot that begins behind it would set aside what cannot be joined, and could not end.
      if (!whole) this.#options.ledger.distrust(whyNotWhole(this.#findings));
      return { whole };
    }
    this.#after = last.id;
    return { rows };
  }

  async #isWhole(client: pg.Client): Promise<boolean> {
    const checking = this.#checking();
    const { root: empty } = this.#options.ledger.toAudit;
    await auditKept(client, checking);
    const root = await rootFound(client, { ...checking, vector: await vectorIn(client), empty });
    return isWhole({ ...checking, root });
  }
}
