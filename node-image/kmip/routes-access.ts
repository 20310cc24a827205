import { archive, recover } from "../operations/archive.ts";
import { check } from "../operations/check.ts";
import { obtainLease } from "../operations/lease.ts";
import { createSplitKey, joinSplitKey } from "../operations/split-key.ts";
import { delegatedLogin, login, logout } from "../operations/ticket.ts";
import { getUsageAllocation } from "../operations/usage-limits.ts";
import * as payload from "./payloads-access.ts";
import { identifiedRequest, identifiedResponse } from "./payloads-lifecycle.ts";
import { empty } from "./payloads-session.ts";
import { type Route, route } from "./route.ts";

const identified = { request: identifiedRequest, response: identifiedResponse } as const;

/** Leases, usage limits, archives, split keys, sessions. */
export const accessRoutes: readonly Route[] = [
  route({
    operation: 0x09,
    name: "Check",
    since: 10,
    request: payload.checkRequest,
    run: check,
    response: identifiedResponse,
  }),
  route({
    operation: 0x10,
    name: "Obtain Lease",
    since: 10,
    request: identifiedRequest,
    run: obtainLease,
    response: payload.leaseResponse,
  }),
  route({
    operation: 0x11,
    name: "Get Usage Allocation",
    since: 10,
    request: payload.usageAllocationRequest,
    run: getUsageAllocation,
    response: identifiedResponse,
  }),
  route({ operation: 0x15, name: "Archive", since: 10, ...identified, run: archive }),
  route({ operation: 0x16, name: "Recover", since: 10, setsPlaceholder: true, ...identified, run: recover }),
  route({
    operation: 0x28,
    name: "Create Split Key",
    since: 12,
    ...payload.createSplitKey,
    setsPlaceholder: true,
    run: createSplitKey,
    placeholder: ({ uniqueIdentifiers }) => uniqueIdentifiers[0],
  }),
  route({ operation: 0x2d, name: "Login", since: 20, ...payload.login, run: login }),
  route({ operation: 0x2e, name: "Logout", since: 20, request: payload.logoutRequest, run: logout, response: empty }),
  route({
    operation: 0x2f,
    name: "Delegated Login",
    since: 20,
    request: payload.delegatedLoginRequest,
    run: delegatedLogin,
    response: payload.login.response,
  }),
  route({
    operation: 0x29,
    name: "Join Split Key",
    since: 12,
    setsPlaceholder: true,
    request: payload.joinSplitKeyRequest,
    run: joinSplitKey,
    response: identifiedResponse,
  }),
];
