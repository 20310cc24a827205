import { activate, destroy, revoke } from "../operations/lifecycle.ts";
import * as payload from "./payloads-lifecycle.ts";
import { type Route, route } from "./route.ts";

const identified = { request: payload.identifiedRequest, response: payload.identifiedResponse } as const;

/** Moving objects through their life. */
export const lifecycleRoutes: readonly Route[] = [
  route({ operation: 0x12, name: "Activate", since: 10, ...identified, run: activate }),
  route({
    operation: 0x13,
    name: "Revoke",
    since: 10,
    request: payload.revokeRequest,
    run: revoke,
    response: payload.identifiedResponse,
  }),
  route({ operation: 0x14, name: "Destroy", since: 10, ...identified, run: destroy }),
];
