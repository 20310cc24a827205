import { pkcs11 } from "../operations/pkcs11.ts";
import { interop, log, ping, setEndpointRole } from "../operations/session.ts";
import * as payload from "./payloads-session.ts";
import { type Route, route } from "./route.ts";

const { empty, endpointRole } = payload;

/** What concerns the two ends and no object. */
export const sessionRoutes: readonly Route[] = [
  route({ operation: 0x2c, name: "Log", since: 20, request: payload.logRequest, run: log, response: empty }),
  route({
    operation: 0x32,
    name: "Set Endpoint Role",
    since: 20,
    request: endpointRole,
    run: setEndpointRole,
    response: endpointRole,
  }),
  route({ operation: 0x33, name: "PKCS#11", since: 20, ...payload.pkcs11, run: pkcs11 }),
  route({
    operation: 0x34,
    name: "Interop",
    since: 20,
    request: payload.interopRequest,
    run: interop,
    response: empty,
  }),
  route({ operation: 0x3b, name: "Ping", since: 21, request: empty, run: ping, response: empty }),
];
