import { quantity } from "../desired/quantity.ts";

/**
 * Whether everything that is wanted is found, whatever else the API server added. It drops what is empty and writes
 * quantities in its own way; neither is a difference.
 */
export function covers(wanted: unknown, found: unknown): boolean {
  if (wanted === found || (isEmpty(wanted) && (found === undefined || isEmpty(found)))) return true;
  if (Array.isArray(wanted))
    return Array.isArray(found) && wanted.length === found.length && wanted.every((one, at) => covers(one, found[at]));
  if (typeof wanted === "object" && wanted !== null) {
    if (typeof found !== "object" || found === null) return false;
    const other = found as Record<string, unknown>;
    return Object.entries(wanted).every(([key, value]) => covers(value, other[key]));
  }
  return typeof wanted === "string" && typeof found === "string" && sameQuantity(wanted, found);
}

function isEmpty(value: unknown): boolean {
  if (value === "" || value === 0 || value === false || value === undefined || value === null) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function sameQuantity(a: string, b: string): boolean {
  const [first, second] = [quantity(a), quantity(b)];
  return first !== undefined && second !== undefined && Math.abs(first - second) <= Math.abs(first) * 1e-9;
}
