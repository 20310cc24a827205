import { type State, state } from "./enumerations.ts";
import { fact, type ManagedObject } from "./types.ts";

/** What moves an object on in its life. */
export type Trigger = "activate" | "deactivate" | "compromise" | "destroy";

/** Where each trigger leads (KMIP 1.4, 3.22); a pair that is absent is refused. */
export const transitions: Readonly<Record<State, Partial<Record<Trigger, State>>>> = {
  [state.preActive]: { activate: state.active, compromise: state.compromised, destroy: state.destroyed },
  [state.active]: { deactivate: state.deactivated, compromise: state.compromised },
  [state.deactivated]: { compromise: state.compromised, destroy: state.destroyed },
  [state.compromised]: { destroy: state.destroyedCompromised },
  [state.destroyed]: { compromise: state.destroyedCompromised },
  [state.destroyedCompromised]: {},
};

/** The fact that each trigger leaves behind. */
export const factOf: Readonly<Record<Trigger, number>> = {
  activate: fact.activated,
  deactivate: fact.deactivated,
  compromise: fact.compromised,
  destroy: fact.destroyed,
};

/** The state follows from facts and dates, it is never stored: worst news first, so that any order of facts gives one answer. */
export function stateOf(object: Pick<ManagedObject, "facts" | "attributes">, now: Date): State {
  const has = (bit: number) => (object.facts & bit) !== 0;
  if (has(fact.destroyed)) return has(fact.compromised) ? state.destroyedCompromised : state.destroyed;
  if (has(fact.compromised)) return state.compromised;
  if (has(fact.deactivated)) return state.deactivated;
  const active = has(fact.activated) || reached(object, "Activation Date", now);
  if (!active) return state.preActive;
  return reached(object, "Deactivation Date", now) ? state.deactivated : state.active;
}

/** Whether a date attribute (seconds since 1970) is not in the future. */
export function reached(object: Pick<ManagedObject, "attributes">, name: string, now: Date): boolean {
  const date = object.attributes.get(name)?.[0];
  return typeof date === "number" && date <= seconds(now);
}

/** Whole seconds since 1970, as KMIP dates are. */
export function seconds(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}
