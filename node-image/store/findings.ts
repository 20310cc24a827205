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

/** What is told of a database as a whole: what was found last. */
export function whyNotWhole({ texts }: { readonly texts: readonly string[] }): string {
  return texts.at(-1) ?? "the database is not as it was written";
}
