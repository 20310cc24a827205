import type { Route } from "./route.ts";

/** Leases, usage limits, archives, split keys, sessions. */
export const accessRoutes: readonly Route[] = [];
