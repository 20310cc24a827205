/** Names of values, and where later protocol versions begin. */
export interface Enumeration {
  readonly names: ReadonlyMap<number, string>;
  /** [first value, version that brought it and those after it], rising. */
  readonly since: readonly (readonly [number, number])[];
}

/** Whether the table has the value (in a protocol version, if one is given); vendor extensions (8XXXXXXX) are not known. */
export function knows(table: Enumeration, value: number, version: number = Number.POSITIVE_INFINITY): boolean {
  return table.names.has(value) && sinceOf(table, value) <= version;
}

/** The protocol version that brought the value. */
export function sinceOf(table: Enumeration, value: number): number {
  return table.since.findLast(([first]) => value >= first)?.[1] ?? 10;
}

/** A table with one more value that stands apart from the run of the others. */
export function plus(table: Enumeration, value: number, name: string): Enumeration {
  return { ...table, names: new Map([...table.names, [value, name]]) };
}

/** A run of values from `first` on; `since` says from which value on later versions brought them. */
export function values(
  first: number,
  names: readonly string[],
  since: Readonly<Record<number, number>> = {},
): Enumeration {
  return {
    names: new Map(names.map((name, at) => [first + at, name])),
    since: Object.entries(since).map(([value, version]) => [Number(value), version] as const),
  };
}
