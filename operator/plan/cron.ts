/** The five fields of a cron expression as the numbers that match; day of month and of week as cron combines them. */
export interface Cron {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly days: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  readonly weekdays: ReadonlySet<number>;
  /** Both days are restricted: then either will do. */
  readonly eitherDay: boolean;
}

const bounds = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7],
] as const;

/** Reads "minute hour day month weekday" with *, lists, ranges and steps; undefined when it is none. */
export function parseCron(text: string): Cron | undefined {
  const words = text.trim().split(/\s+/);
  if (words.length !== bounds.length) return undefined;
  const sets = words.map((word, at) => fieldOf(word, bounds[at] as readonly [number, number]));
  const [minutes, hours, days, months, weekdays] = sets;
  if (!minutes || !hours || !days || !months || !weekdays) return undefined;
  if (weekdays.has(7)) weekdays.add(0);
  return { minutes, hours, days, months, weekdays, eitherDay: !isAny(words[2]) && !isAny(words[4]) };
}

/** Whether the expression names that minute (UTC). */
export function startsAt(cron: Cron, atMs: number): boolean {
  const at = new Date(atMs);
  if (!cron.minutes.has(at.getUTCMinutes()) || !cron.hours.has(at.getUTCHours())) return false;
  if (!cron.months.has(at.getUTCMonth() + 1)) return false;
  const [day, weekday] = [cron.days.has(at.getUTCDate()), cron.weekdays.has(at.getUTCDay())];
  return cron.eitherDay ? day || weekday : day && weekday;
}

function isAny(word: string | undefined): boolean {
  return word?.startsWith("*") ?? false;
}

function fieldOf(word: string, bound: readonly [least: number, most: number]): Set<number> | undefined {
  const parts = word.split(",").map((part) => partOf(part, bound));
  return parts.includes(undefined) ? undefined : new Set(parts.flatMap((part) => part ?? []));
}

/** One of "*", "5", "1-5", each also with a step: "1-5/2", "5/10" (from 5 on). */
function partOf(part: string, [least, most]: readonly [number, number]): number[] | undefined {
  const match = /^(?:(\*)|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(part);
  if (match === null) return undefined;
  const [, any, from, to, step] = match;
  const first = any === undefined ? Number(from) : least;
  const open = any !== undefined || step !== undefined ? most : first;
  const last = to === undefined ? open : Number(to);
  const by = Number(step ?? 1);
  if (first < least || last > most || first > last || by === 0) return undefined;
  return Array.from({ length: Math.floor((last - first) / by) + 1 }, (_, at) => first + at * by);
}
