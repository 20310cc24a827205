import type { ManagedObject } from "../objects/types.ts";
import type { Context } from "./context.ts";

/** What one operation takes from a key's Usage Limits (KMIP 1.4, 3.21): the object once, and so many bytes. */
export interface Consumption {
  readonly bytes: number;
}

/** Takes from the Usage Limits of a key before it protects data. Objects without limits are not counted. */
export async function consume(_object: ManagedObject, _taken: Consumption, _context: Context): Promise<void> {}
