interface Entry<Value> {
  readonly value: Value;
  used: boolean;
}

/**
 * A map of which what was not used lately makes room first (the "clock", or second chance). A look-up only marks its entry:
 * to move it to the end of a Map, which tells the last use exactly, costs several times as much, and that on each request.
 */
export class SecondChance<Value> {
  readonly #entries = new Map<string, Entry<Value>>();

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Value | undefined {
    const found = this.#entries.get(key);
    if (found === undefined) return undefined;
    found.used = true;
    return found.value;
  }

  /** Puts it at the end of the line, in the place of what was there; the result is what was. */
  set(key: string, value: Value): Value | undefined {
    const before = this.delete(key);
    this.#entries.set(key, { value, used: false });
    return before;
  }

  delete(key: string): Value | undefined {
    const found = this.#entries.get(key);
    this.#entries.delete(key);
    return found?.value;
  }

  /** The first of the line, which may have been used lately; undefined: there is none. */
  first(): readonly [key: string, value: Value] | undefined {
    for (const [key, { value }] of this.#entries) return [key, value];
    return undefined;
  }

  /** Takes out all for which it holds. */
  deleteWhere(holds: (value: Value) => boolean): Value[] {
    const out: Value[] = [];
    for (const [key, { value }] of this.#entries) {
      if (!holds(value)) continue;
      this.#entries.delete(key);
      out.push(value);
    }
    return out;
  }

  /** Takes the first out that was not used since it stood there last. */
  shed(): Value | undefined {
    for (const [key, entry] of this.#entries) {
      this.#entries.delete(key);
      if (!entry.used) return entry.value;
      entry.used = false;
      this.#entries.set(key, entry);
    }
    return undefined;
  }

  values(): Value[] {
    return [...this.#entries.values()].map(({ value }) => value);
  }

  clear(): void {
    this.#entries.clear();
  }
}
