/** Room that readings share: what one has taken the others wait for, in the order in which they came. */
export class ReadRoom {
  #free: number;
  readonly #line: { readonly amount: number; readonly begin: () => void }[] = [];

  constructor(amount: number) {
    this.#free = amount;
  }

  /** Resolves when the amount, no more than all that there is, is the caller's. */
  async take(amount: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#line.push({ amount, begin: resolve });
    this.#admit();
    return promise;
  }

  give(amount: number): void {
    this.#free += amount;
    this.#admit();
  }

  #admit(): void {
    for (let first = this.#line[0]; first !== undefined && first.amount <= this.#free; first = this.#line[0]) {
      this.#line.shift();
      this.#free -= first.amount;
      first.begin();
    }
  }
}
