type Parts = Readonly<Record<string, unknown>>;

/**
 * The same value as `fresh`, with every part that one of the known values has equal at the same place taken from there, so
 * that it is in memory once: nodes of a fleet have the same members and trust, StatefulSets the same containers. None of
 * them is changed.
 */
export function sharingWith<T>(fresh: T, ...known: readonly unknown[]): T {
  if (!isObject(fresh)) return (known.find((one) => one === fresh) as T | undefined) ?? fresh;
  const alike = known.filter(isObject).filter((one) => Array.isArray(one) === Array.isArray(fresh));
  if (alike.length === 0) return fresh;
  const parts = Object.entries(fresh).map(
    ([name, part]) => [name, sharingWith(part, ...alike.map((one) => partOf(one, name)))] as const,
  );
  const whole = alike.find((one) => Object.keys(one).length === parts.length && hasAll(one, parts));
  if (whole !== undefined) return whole as T;
  const shared = (Array.isArray(fresh) ? [...fresh] : { ...fresh }) as Record<string, unknown>;
  for (const [name, part] of parts) shared[name] = part;
  return shared as T;
}

function isObject(value: unknown): value is Parts {
  return typeof value === "object" && value !== null;
}

function hasAll(object: Parts, parts: readonly (readonly [string, unknown])[]): boolean {
  return parts.every(([name, part]) => Object.hasOwn(object, name) && object[name] === part);
}

function partOf(object: Parts, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}
