import { tagName } from "../kmip/tags.ts";
import { type Item, itemType } from "../ttlv/types.ts";

/** What the placeholders of a test case stand for: "$UNIQUE_IDENTIFIER_0", "$NOW-3600". */
export class Bindings {
  readonly #earlier: Bindings | undefined;
  readonly #bound = new Map<string, string>();
  readonly #results = new Map<string, string>();

  /** Placeholders that this case does not bind itself are those of the case before it in the series. */
  constructor(earlier?: Bindings) {
    this.#earlier = earlier;
  }

  /** The value for a request. Throws when nothing gave it one. */
  valueOf(placeholder: string): string {
    const name = nameOf(placeholder);
    // An identifier that no answer gave is the file's own: answers must have it as it is.
    const known = this.#known(name) ?? (isIdentifier(placeholder) ? placeholder : undefined);
    if (known === undefined) return date(placeholder);
    this.#bound.set(name, known);
    return known;
  }

  /** Binds a placeholder of an expected answer; a different value that it had before is given back. */
  bind(placeholder: string, value: string): string | undefined {
    const name = nameOf(placeholder);
    const known = this.#bound.get(name);
    // Each answer that is to be continued has a number of its own.
    if (known === undefined || /CORRELATION_VALUE/.test(name)) this.#bound.set(name, value);
    return known === undefined || /CORRELATION_VALUE/.test(name) ? undefined : known;
  }

  /** To try a comparison that may fail. */
  copy(): Bindings {
    const copy = new Bindings(this.#earlier);
    copy.takeOver(this);
    return copy;
  }

  takeOver(other: Bindings): void {
    for (const [placeholder, value] of other.#bound) this.#bound.set(placeholder, value);
    for (const [placeholder, value] of other.#results) this.#results.set(placeholder, value);
  }

  /** Requests may mean the results of earlier ones: $MAC_DATA is the last MAC Data, $DATA_0 the first Data. */
  remember(item: Item): void {
    if (item.type === itemType.structure) for (const child of item.value) this.remember(child);
    if (item.type !== itemType.byteString) return;
    const name = `$${tagName(item.tag)
      .replaceAll(/([a-z])([A-Z])|([A-Z])([A-Z][a-z])/g, "$1$3_$2$4")
      .toUpperCase()}`;
    const count = [...this.#results.keys()].filter((key) => key.startsWith(`${name}_`)).length;
    this.#results.set(name, item.value.toString("hex"));
    this.#results.set(`${name}_${count}`, item.value.toString("hex"));
  }

  #known(placeholder: string): string | undefined {
    const own = this.#bound.get(placeholder) ?? this.#results.get(placeholder);
    return own ?? (this.#earlier === undefined ? undefined : this.#earlier.#known(placeholder));
  }
}

/**
 * Whether a value stands for another one: "$UNIQUE_IDENTIFIER_0", and identifiers that the example's server gave, in sets that have
 * them as they were.
 */
export function isPlaceholder(value: string): boolean {
  return /^\$[{(]?[A-Za-z]/.test(value) || isIdentifier(value);
}

function isIdentifier(value: string): boolean {
  return /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(value);
}

/** One name for all spellings: ${unique-identifier-0} and $(Unique_Identifier_0) are $UNIQUE_IDENTIFIER_0. */
function nameOf(placeholder: string): string {
  return placeholder
    .replaceAll(/[{}()\s]/g, "")
    .replaceAll("-", "_")
    .toUpperCase();
}

const secondsOf: Readonly<Record<string, number>> = { "": 1, s: 1, m: 60, h: 3_600, d: 86_400 };

/** "$NOW", "$NOW-3600", "${NOW} + 2 hours": seconds unless a unit says otherwise. */
function date(placeholder: string): string {
  const text = placeholder.replaceAll(/[{}()\s]/g, "");
  const match = /^\$NOW(?:([+-])(\d+)(?:([smhd])[a-z]*)?)?$/i.exec(text);
  if (match === null) throw new Error(`${placeholder} is not bound: no earlier answer gave it`);
  const [, sign = "+", count = "0", unit = ""] = match;
  const seconds = Number(`${sign}${count}`) * (secondsOf[unit.toLowerCase()] ?? 1);
  return new Date(Date.now() + seconds * 1000).toISOString();
}
