import type { Route } from "./route.ts";

/** Cryptographic operations with managed keys. */
export const cryptographyRoutes: readonly Route[] = [];
