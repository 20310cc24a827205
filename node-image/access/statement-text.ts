import { rights } from "./rights.ts";

/** What an administrator or owner writes of entitlements, as text: "Get Encrypt until 2027-01-01T00:00:00Z". */
export interface StatementText {
  readonly words: readonly string[];
  /** Seconds since 1970. */
  readonly until: number | undefined;
}

/** Longest text and name that are taken. */
export const statementLimits = { characters: 1_000, nameCharacters: 900 } as const;

/** Reads the text; a sentence says what is wrong with it. */
export function parseStatement(text: string): StatementText | string {
  if (text.length > statementLimits.characters) return `at most ${statementLimits.characters} characters are taken`;
  const [before, after, ...more] = text.trim().split(/(?:^|\s+)until\s+/);
  if (more.length > 0) return '"until" is given twice';
  const words = (before ?? "").split(/[\s,]+/).filter((word) => word !== "");
  if (after === undefined) return { words: [...new Set(words)], until: undefined };
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(after) || Number.isNaN(Date.parse(after))) {
    return 'after "until" stands a time like 2027-01-01T00:00:00Z';
  }
  return { words: [...new Set(words)], until: Date.parse(after) / 1_000 };
}

/** The reverse. */
export function statementText({ words, until }: StatementText): string {
  const end = until === undefined ? [] : ["until", new Date(until * 1_000).toISOString().replace(".000Z", "Z")];
  return [...words, ...end].join(" ");
}

/** The words that are no rights. */
export function unknownRights(words: readonly string[]): readonly string[] {
  return words.filter((word) => !rights.has(word));
}

/** Whether a text names a principal: "user:" and an identity, or "group:" and a name; printable and short. */
export function isPrincipal(text: string): boolean {
  return /^(user|group):[^\p{C}]+$/u.test(text) && text.length <= statementLimits.nameCharacters;
}
