import { getConstraints, setConstraints } from "../operations/constraints.ts";
import { setDefaults } from "../operations/defaults.ts";
import { constraints, setDefaultsRequest } from "./payloads-policy.ts";
import { empty } from "./payloads-session.ts";
import { type Route, route } from "./route.ts";

/** What administrators set for the new objects of the whole fleet. */
export const policyRoutes: readonly Route[] = [
  route({
    operation: 0x36,
    name: "Set Defaults",
    since: 21,
    request: setDefaultsRequest,
    run: setDefaults,
    response: empty,
  }),
  route({
    operation: 0x37,
    name: "Set Constraints",
    since: 21,
    request: constraints,
    run: setConstraints,
    response: empty,
  }),
  route({
    operation: 0x38,
    name: "Get Constraints",
    since: 21,
    request: empty,
    run: getConstraints,
    response: constraints,
  }),
];
