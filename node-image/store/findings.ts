/** Findings that are told in words; the rest are counted. */
const findingsMax = 100;

/** Collects what is wrong with a store. */
export class Findings {
  readonly texts: string[] = [];
  total = 0;

  add(text: string): void {
    this.total += 1;
    if (this.texts.length < findingsMax) this.texts.push(text);
  }
}
