/** The Unique Identifier of the n-th object that a session makes: seeds can name objects before they exist. */
export function identifierAt(index: number): string {
  return `00000000-0000-4000-8000-${index.toString(16).padStart(12, "0")}`;
}

/** The same for what the stranger of a session of two callers makes: one digit away from the owner's. */
export function strangersIdentifierAt(index: number): string {
  return `1${identifierAt(index).slice(1)}`;
}
