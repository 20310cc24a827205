/** Names of values, and where later protocol versions begin. */
export interface Enumeration {
  readonly names: ReadonlyMap<number, string>;
  /** [first value, version that brought it and those after it], rising. */
  readonly since: readonly (readonly [number, number])[];
  /** [value, first version that no longer has it]. */
  readonly until: ReadonlyMap<number, number>;
}

/** Whether the table has the value (in a protocol version, if one is given); vendor extensions (8XXXXXXX) are not known. */
export function knows(table: Enumeration, value: number, version: number = Number.POSITIVE_INFINITY): boolean {
  if (!table.names.has(value)) return false;
  return version === Number.POSITIVE_INFINITY || (sinceOf(table, value) <= version && version < untilOf(table, value));
}

/** The protocol version that brought the value. */
export function sinceOf(table: Enumeration, value: number): number {
  // Asked of every enumeration of every answer: no closure, and most tables have few rows.
  for (let at = table.since.length - 1; at >= 0; at--) {
    const row = table.since[at];
    if (row !== undefined && value >= row[0]) return row[1];
  }
  return 10;
}

function untilOf(table: Enumeration, value: number): number {
  return table.until.get(value) ?? Number.POSITIVE_INFINITY;
}

/** A table with one more value that stands apart from the run of the others. */
export function plus(table: Enumeration, value: number, name: string): Enumeration {
  return { ...table, names: new Map([...table.names, [value, name]]) };
}

/** A run of values from `first` on ("" where there is none); `since` says from which value on later versions brought them. */
export function values(
  first: number,
  names: readonly string[],
  since: Readonly<Record<number, number>> = {},
  until: Readonly<Record<number, number>> = {},
): Enumeration {
  const rows = names.map((name, at) => [first + at, name] as const).filter(([, name]) => name !== "");
  return {
    names: new Map(rows),
    since: Object.entries(since).map(([value, version]) => [Number(value), version] as const),
    until: new Map(Object.entries(until).map(([value, version]) => [Number(value), version])),
  };
}
