import { callerStanding } from "../operations/find.ts";
import type { Route } from "./route.ts";
import { accessRoutes } from "./routes-access.ts";
import { asynchronousRoutes } from "./routes-asynchronous.ts";
import { attributeRoutes } from "./routes-attributes.ts";
import { certificateRoutes } from "./routes-certificates.ts";
import { cryptographyRoutes } from "./routes-cryptography.ts";
import { discoveryRoutes } from "./routes-discovery.ts";
import { lifecycleRoutes } from "./routes-lifecycle.ts";
import { objectRoutes } from "./routes-objects.ts";
import { policyRoutes } from "./routes-policy.ts";
import { sessionRoutes } from "./routes-session.ts";

/**
 * Operations that look at no object, and so would not notice by themselves that the caller is suspended. What tells nothing of
 * the fleet's work and uses none of its keys stays open: Query, Discover Versions, Ping, Set Endpoint Role, and Logout, which
 * only takes away.
 */
const findsNobody: ReadonlySet<string> = new Set([
  "Validate",
  "Cancel",
  "Poll",
  "RNG Retrieve",
  "RNG Seed",
  "Hash",
  "Interop",
  "Query Asynchronous Requests",
  "Process",
]);

function askingStanding(route: Route): Route {
  return {
    ...route,
    run: async (payload, context, reading) => {
      await callerStanding(context);
      return route.run(payload, context, reading);
    },
  };
}

/** What is served, by KMIP Operation (9.1.3.2.27). */
export const router: ReadonlyMap<number, Route> = new Map(
  [
    ...objectRoutes,
    ...attributeRoutes,
    ...lifecycleRoutes,
    ...discoveryRoutes,
    ...cryptographyRoutes,
    ...certificateRoutes,
    ...accessRoutes,
    ...asynchronousRoutes,
    ...policyRoutes,
    ...sessionRoutes,
  ].map((route) => [route.operation, findsNobody.has(route.name) ? askingStanding(route) : route]),
);

/** Protocol versions spoken, best first. */
export const versions = [21, 20, 14, 13, 12, 11, 10] as const;
