import { attributeRule } from "../objects/attribute-rules.ts";
import { Refusal } from "../objects/refusal.ts";
import { sameValue } from "../objects/same-value.ts";
import type { Json } from "../objects/types.ts";
import type { Context } from "./context.ts";
import { callerStanding } from "./find.ts";
import { type Constraint, setPolicy } from "./fleet-policy.ts";

/** KMIP Set Constraints (2.1, 6.1.52), and what Get Constraints (6.1.20) gives. */
export interface Constraints {
  readonly constraints: readonly Constraint[];
}

/** Sets what new objects must be like. */
export async function setConstraints({ constraints }: Constraints, context: Context): Promise<object> {
  for (const { attributes } of constraints) {
    const unknown = attributes.find(({ name }) => attributeRule(name, context.version) === undefined);
    if (unknown !== undefined || attributes.length === 0)
      throw new Refusal("InvalidField", `A Constraint needs attributes that are known; "${unknown?.name}" is none`);
  }
  await setPolicy("constraints", constraints, context);
  return {};
}

/** What new objects must be like; whoever may use the server may know. */
export async function getConstraints(_: object, context: Context): Promise<Constraints> {
  await callerStanding(context);
  const { constraints } = await context.policy.current(context.store);
  return { constraints };
}

/**
 * An object that some constraints concern, by its type and groups, must satisfy one of them: so each tells one kind that is
 * allowed. Throws Refusal.
 */
export async function checkConstraints(
  objectType: number,
  attributes: Readonly<Record<string, readonly Json[]>>,
  context: Context,
): Promise<void> {
  const { constraints } = await context.policy.current(context.store);
  const concerning = constraints.filter((each) => concerns(each, objectType, attributes["Object Group"] ?? []));
  if (concerning.length === 0 || concerning.some((each) => violated(each, attributes) === undefined)) return;
  const names = [...new Set(concerning.map((each) => violated(each, attributes)))].join(", ");
  throw new Refusal(
    "PermissionDenied",
    `The fleet's constraints forbid such an object (${names}): Get Constraints of KMIP 2.1 tells what is allowed`,
    "ConstraintViolation",
  );
}

function concerns({ objectTypes, objectGroups }: Constraint, objectType: number, groups: readonly Json[]): boolean {
  const ofType = objectTypes.length === 0 || objectTypes.includes(objectType);
  return ofType && (objectGroups.length === 0 || objectGroups.some((group) => groups.includes(group)));
}

/** The first attribute that is not as the constraint has it; what an object has none of is not constrained. */
function violated({ attributes }: Constraint, given: Readonly<Record<string, readonly Json[]>>): string | undefined {
  for (const [name, allowed] of Map.groupBy(attributes, (each) => each.name)) {
    const values = allowed.map(({ value }) => value);
    if ((given[name] ?? []).some((value) => !isAllowed(name, value, values))) return name;
  }
  return undefined;
}

/** Lengths are at most the given one, usages among the given ones, everything else one of the given values. */
function isAllowed(name: string, value: Json, allowed: readonly Json[]): boolean {
  const numbers = allowed.filter((each) => typeof each === "number");
  if (name === "Cryptographic Length" && typeof value === "number") return value <= Math.max(...numbers);
  if (name === "Cryptographic Usage Mask" && typeof value === "number")
    return (value & ~numbers.reduce((all, each) => all | each, 0)) === 0;
  return allowed.some((each) => sameValue(each, value));
}
