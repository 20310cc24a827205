import { certify, reCertify, validate } from "../operations/certify.ts";
import * as payload from "./payloads-certificates.ts";
import { type Route, route } from "./route.ts";

const { certifyResponse: response } = payload;

/** Certificates: made, renewed, checked. */
export const certificateRoutes: readonly Route[] = [
  route({
    operation: 0x06,
    name: "Certify",
    since: 10,
    setsPlaceholder: true,
    request: payload.certifyRequest,
    run: certify,
    response,
  }),
  route({
    operation: 0x07,
    name: "Re-certify",
    since: 10,
    setsPlaceholder: true,
    request: payload.reCertifyRequest,
    run: reCertify,
    response,
  }),
  route({ operation: 0x17, name: "Validate", since: 10, ...payload.validate, run: validate }),
];
