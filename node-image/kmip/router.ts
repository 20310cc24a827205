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
  ].map((route) => [route.operation, route]),
);

/** Protocol versions spoken, best first. */
export const versions = [21, 20, 14, 13, 12, 11, 10] as const;
