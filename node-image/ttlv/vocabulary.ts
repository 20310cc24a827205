/** The words that the text encodings (JSON, XML) have for numbers; `attribute` is the Attribute Name beside an Attribute Value. */
export interface Vocabulary {
  tagOf(word: string): number | undefined;
  wordOfTag(tag: number): string | undefined;
  valueOf(tag: number, word: string, attribute: string | undefined): number | undefined;
  wordOfValue(tag: number, value: number, attribute: string | undefined): string | undefined;
  /** Words of a mask's bits from the lowest on; undefined when the integer is no mask. */
  bitsOf(tag: number, attribute: string | undefined): readonly string[] | undefined;
}
