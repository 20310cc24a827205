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

const units: Readonly<Record<string, number>> = {
  ...{ m: 1e-3, "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 },
  ...{ Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 },
};

function sameQuantity(a: string, b: string): boolean {
  const [first, second] = [quantity(a), quantity(b)];
  return first !== undefined && second !== undefined && Math.abs(first - second) <= Math.abs(first) * 1e-9;
}

function quantity(text: string): number | undefined {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/.exec(text) ?? [];
  const factor = units[unit];
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor;
}
