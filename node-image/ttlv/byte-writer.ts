/** Characters that grow; what was outgrown is zeroed, since it may hold secrets. */
export class ByteWriter {
  #bytes = Buffer.alloc(4096);
  #used = 0;

  text(text: string): void {
    const length = Buffer.byteLength(text);
    this.#reserve(length);
    this.#used += this.#bytes.write(text, this.#used, "utf8");
  }

  /** Bytes as hexadecimal digits, which never become a text on the way. */
  hex(bytes: Buffer): void {
    this.#reserve(bytes.length * 2);
    for (const byte of bytes) {
      this.#bytes[this.#used++] = digits[byte >> 4] as number;
      this.#bytes[this.#used++] = digits[byte & 15] as number;
    }
  }

  /** A copy of what was written; the writer's own bytes are zeroed. */
  finish(): Buffer {
    const result = Buffer.alloc(this.#used);
    this.#bytes.copy(result, 0, 0, this.#used);
    this.#bytes.fill(0);
    this.#used = 0;
    return result;
  }

  #reserve(more: number): void {
    const wanted = this.#used + more;
    if (wanted <= this.#bytes.length) return;
    const larger = Buffer.alloc(Math.max(wanted, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#used);
    this.#bytes.fill(0);
    this.#bytes = larger;
  }
}

const digits = Buffer.from("0123456789abcdef", "latin1");
