/** What the rooms behind the plan may know of the facts that it rests on. */
export type { Desired } from "../desired/desired.ts";
export { conditionOf, type NodeFacts, objectOf, viewOf } from "../desired/facts.ts";
export { handledRequests } from "../desired/upgrade-requests.ts";
