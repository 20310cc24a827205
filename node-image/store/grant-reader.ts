/** Callers whose grants are remembered, and the most objects of one that are; beyond it they are searched for each time. */
const callersMax = 2_000;
const objectsMax = 16;

/** What stands in the state of every object that somebody was granted the right to find. */
export const grantMark = '".grant Locate ';

/**
 * Remembers what was found by grants of Locate, most often nothing: each search asks for it. Correct because one process
 * alone writes: whenever a commit concerns an object with such a grant, all is forgotten, and nothing is kept until it has ended.
 */
export class GrantReader {
  readonly #kept = new Map<string, readonly string[]>();
  #keeping = false;
  #touched = 0;
  #round = 0;

  /** What `read` finds for these statements, or has found before. */
  async find(statements: readonly string[], read: () => Promise<readonly string[]>): Promise<readonly string[]> {
    const key = JSON.stringify(statements);
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    const round = this.#round;
    const ids = await read();
    if (this.#keeping && this.#touched === 0 && round === this.#round && ids.length <= objectsMax) {
      for (const oldest of this.#kept.keys()) {
        if (this.#kept.size < callersMax) break;
        this.#kept.delete(oldest);
      }
      this.#kept.set(key, ids);
    }
    return ids;
  }

  /** A commit that concerns objects with grants of Locate begins. */
  touch(): void {
    this.#touched += 1;
    this.#forget();
  }

  /** It has ended, whatever its outcome. */
  release(): void {
    this.#touched -= 1;
    this.#forget();
  }

  /** Forgets all; keeps from now on only if this process is the one that writes, with no transaction of unknown outcome. */
  reset(keeping: boolean): void {
    this.#keeping = keeping;
    this.#forget();
  }

  #forget(): void {
    this.#round += 1;
    this.#kept.clear();
  }
}
