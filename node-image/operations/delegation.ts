/** What a delegated ticket lets its bearer do, as rights are named; without objects: with all that the delegator owns. */
export interface DelegatedRight {
  readonly operations: readonly string[];
  readonly objects?: readonly string[];
}

/** What the bearer of a delegated ticket acts for. */
export interface Delegation {
  readonly rights: readonly DelegatedRight[];
}

/** Whether a delegation, if there is one, covers a right on an object. */
export function delegates({ delegation }: { readonly delegation?: Delegation }, right: string, id: string): boolean {
  if (delegation === undefined) return true;
  return delegation.rights.some(
    ({ operations, objects }) => operations.includes(right) && (objects === undefined || objects.includes(id)),
  );
}
