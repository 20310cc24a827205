import { tags1 } from "./tags-1.ts";
import { tags2 } from "./tags-2.ts";

/** Item tags by name, names without spaces and signs. */
export const tag = { ...tags1, ...tags2 } as const;

const names: ReadonlyMap<number, string> = new Map(Object.entries(tag).map(([name, number]) => [number, name]));

/** Whether any version has the tag. */
export function isTag(number: number): boolean {
  return names.has(number);
}

/** Name of a tag for messages to people; unknown tags as hexadecimal digits. */
export function tagName(number: number): string {
  return names.get(number) ?? `tag ${number.toString(16).padStart(6, "0")}`;
}
