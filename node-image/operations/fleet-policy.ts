import { recordId } from "../access/entitlement.ts";
import { recordOwner } from "../access/standing.ts";
import type { AttributeInstance } from "../objects/attributes.ts";
import { objectType } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Json } from "../objects/types.ts";
import type { Context } from "./context.ts";
import { callerStanding } from "./find.ts";

/** Attributes that new objects of a type have unless their maker gives others (KMIP 2.1, 7.10). */
export interface ObjectDefaults {
  readonly objectType: number;
  readonly attributes: readonly AttributeInstance[];
}

/** What new objects of some types and groups must be like (KMIP 2.1, 7.6); an empty list means all of them. */
export interface Constraint {
  readonly objectTypes: readonly number[];
  readonly objectGroups: readonly string[];
  readonly attributes: readonly AttributeInstance[];
}

/** What administrators set for the whole fleet. */
export interface FleetPolicy {
  readonly defaults: readonly ObjectDefaults[];
  readonly constraints: readonly Constraint[];
}

/** Bounds of what is set, and of how old a policy may be that another node has changed. */
export const policyLimits = { entries: 64, attributes: 64, ageMs: 1_000 } as const;

/** The fleet's policy as it was read lately, so that not every new object reads it. */
export class PolicyReader {
  readonly #store: Context["store"];
  readonly #nowMs: () => number;
  #read: { readonly policy: Promise<FleetPolicy>; readonly atMs: number } | undefined;

  constructor(store: Context["store"], nowMs: () => number) {
    this.#store = store;
    this.#nowMs = nowMs;
  }

  /** A staged store is asked itself: it may hold what the same batch has set. */
  async current(store: Context["store"]): Promise<FleetPolicy> {
    if (store !== this.#store) return read(store);
    const nowMs = this.#nowMs();
    if (this.#read === undefined || Math.abs(nowMs - this.#read.atMs) >= policyLimits.ageMs) {
      const policy = read(store);
      this.#read = { policy, atMs: nowMs };
      policy.catch(() => this.forget());
    }
    return this.#read.policy;
  }

  forget(): void {
    this.#read = undefined;
  }
}

const id = recordId("policy", "kmip");
const rows = { defaults: ".defaults", constraints: ".constraints" } as const;

async function read(store: Context["store"]): Promise<FleetPolicy> {
  const attributes = (await store.object(id))?.attributes;
  return {
    defaults: (attributes?.get(rows.defaults)?.[0] ?? []) as unknown as FleetPolicy["defaults"],
    constraints: (attributes?.get(rows.constraints)?.[0] ?? []) as unknown as FleetPolicy["constraints"],
  };
}

/** Sets one part of the policy, for administrators. Every node makes the record in the same way; of two writes the later holds. */
export async function setPolicy<Part extends keyof FleetPolicy>(
  part: Part,
  entries: FleetPolicy[Part],
  context: Context,
): Promise<void> {
  const { administrator } = await callerStanding(context);
  if (!administrator || context.delegation !== undefined)
    throw new Refusal("PermissionDenied", "Only administrators of the fleet set what holds for all of it");
  const { entries: most, attributes: each } = policyLimits;
  if (entries.length > most || entries.some(({ attributes }) => attributes.length > each))
    throw new Refusal("InvalidField", `At most ${most} entries of ${each} attributes can be set`);
  const attributes = { ".kind": ["policy"], ".identity": ["kmip"], [rows[part]]: [entries as unknown as Json] };
  const record = { kind: "create", id, owner: recordOwner, objectType: objectType.opaqueObject } as const;
  await context.store.write([{ ...record, facts: 0, sealed: Buffer.alloc(0), attributes }]);
  context.whenTrue(() => {
    context.policy.forget();
    context.log({ level: "info", event: "policy-changed", part, entries: entries.length, by: context.caller.identity });
  });
}
