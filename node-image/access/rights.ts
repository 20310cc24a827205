/** What each right lets its holder do with an object: look at its facts, have it used or handed out, or change it. */
export type RightClass = "look" | "use" | "change";

/** A right is the KMIP operation that it allows, named without spaces; no right includes another. */
export const rights: ReadonlyMap<string, RightClass> = new Map([
  ...names("look", "Locate GetAttributes GetAttributeList Check Validate"),
  ...names(
    "use",
    "Get Export Encrypt Decrypt Sign SignatureVerify MAC MACVerify DeriveKey Certify WrapKey UnwrapKey ObtainLease " +
      "GetUsageAllocation CreateSplitKey JoinSplitKey",
  ),
  ...names(
    "change",
    "AddAttribute ModifyAttribute DeleteAttribute SetAttribute AdjustAttribute Activate Revoke Destroy Archive Recover",
  ),
]);

/** Rights that every administrator has on every object: facts and the end of its life, never its key bytes. */
export const administratorRights: ReadonlySet<string> = new Set([
  "Locate",
  "GetAttributes",
  "GetAttributeList",
  "Check",
  "Revoke",
  "Archive",
  "Recover",
]);

/** Rights that every auditor has on every object, and all that an auditor may have on what is not the auditor's own. */
export const auditorRights: ReadonlySet<string> = new Set(["Locate", "GetAttributes", "GetAttributeList", "Check"]);

const rightsOf = new Map<string, string>();

/** The right that an operation (one of those served) needs: its own name. */
export function rightOf(operation: string): string {
  const known = rightsOf.get(operation);
  if (known !== undefined) return known;
  const right = operation.replaceAll(/[ -]/g, "");
  rightsOf.set(operation, right);
  return right;
}

function names(of: RightClass, list: string): [string, RightClass][] {
  return list.split(" ").map((name) => [name, of]);
}
