const texts = new WeakMap<object, string>();

/** An object as JSON, worked out once: objects of the simulation are replaced, never changed. */
export function textOf(object: object): string {
  const known = texts.get(object);
  if (known !== undefined) return known;
  const text = JSON.stringify(object);
  texts.set(object, text);
  return text;
}
