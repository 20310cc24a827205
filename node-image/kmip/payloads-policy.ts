import type { AttributeInstance } from "../objects/attributes.ts";
import type { Constraint, ObjectDefaults } from "../operations/fleet-policy.ts";
import { attributes } from "./attributes.ts";
import { enumerations as known } from "./enumerations.ts";
import { group, list, one, optional, structure } from "./fields.ts";
import { enumeration, mapped, type Shape, text } from "./shape.ts";
import { tag } from "./tags.ts";

const objectTypes = mapped(
  structure({ types: list(tag.ObjectType, enumeration(known.objectType)) }),
  ({ types }) => types,
  (types: readonly number[]) => ({ types }),
);

const objectGroups = mapped(
  structure({ groups: list(tag.ObjectGroup, text) }),
  ({ groups }) => groups,
  (groups: readonly string[]) => ({ groups }),
);

/** Some clients name each type by itself, others put all into Object Types. */
const objectDefaults = structure({
  objectType: list(tag.ObjectType, enumeration(known.objectType)),
  objectTypes: optional(tag.ObjectTypes, objectTypes),
  attributes: one(tag.Attributes, attributes),
});

/** Defaults Information (2.1, 7.10). */
export const defaultsInformation: Shape<readonly ObjectDefaults[]> = mapped(
  structure({ defaults: list(tag.ObjectDefaults, objectDefaults) }),
  ({ defaults }) =>
    defaults.flatMap(({ objectType, objectTypes: types = [], attributes: instances }) =>
      [...objectType, ...types].map((each) => ({ objectType: each, attributes: instances })),
    ),
  (defaults: readonly ObjectDefaults[]) => ({
    defaults: defaults.map(({ objectType, attributes: instances }) => ({
      objectType: [objectType],
      attributes: instances,
    })),
  }),
);

/** Set Defaults (2.1, 6.1.53). */
export const setDefaultsRequest = mapped(
  structure({ information: optional(tag.DefaultsInformation, defaultsInformation) }),
  ({ information }) => ({ defaults: information ?? [] }),
  ({ defaults }: { readonly defaults: readonly ObjectDefaults[] }) => ({ information: defaults }),
);

const constraint: Shape<Constraint> = mapped(
  structure({
    objectTypes: optional(tag.ObjectTypes, objectTypes),
    objectGroups: optional(tag.ObjectGroups, objectGroups),
    attributes: one(tag.Attributes, attributes),
  }),
  ({ objectTypes: types = [], objectGroups: groups = [], attributes: instances }) => ({
    objectTypes: types,
    objectGroups: groups,
    attributes: instances,
  }),
  ({ objectTypes: types, objectGroups: groups, attributes: instances }: Constraint) => ({
    ...(types.length === 0 ? {} : { objectTypes: types }),
    ...(groups.length === 0 ? {} : { objectGroups: groups }),
    attributes: instances as readonly AttributeInstance[],
  }),
);

const constraintList = mapped(
  structure({ constraints: list(tag.Constraint, constraint) }),
  ({ constraints }) => constraints,
  (constraints: readonly Constraint[]) => ({ constraints }),
);

/** Set Constraints (2.1, 6.1.52) asks with it, Get Constraints (6.1.20) answers with it; none are left out (OASIS cases TC-MD-21, 22). */
export const constraints = structure({ constraints: group(tag.Constraints, constraintList) });
