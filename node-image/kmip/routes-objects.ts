import { create } from "../operations/create.ts";
import { createKeyPair } from "../operations/create-key-pair.ts";
import { exportObject } from "../operations/export.ts";
import { get } from "../operations/get.ts";
import { objectMustBeHandedOut } from "../operations/handed-out.ts";
import { importObject } from "../operations/import.ts";
import { reKey, reKeyKeyPair } from "../operations/re-key.ts";
import { register } from "../operations/register.ts";
import { identifiedResponse } from "./payloads-lifecycle.ts";
import * as payload from "./payloads-objects.ts";
import { type Route, route } from "./route.ts";

/** Making objects and handing them out. */
export const objectRoutes: readonly Route[] = [
  route({ operation: 0x01, name: "Create", since: 10, setsPlaceholder: true, ...payload.create, run: create }),
  route({
    operation: 0x02,
    name: "Create Key Pair",
    since: 10,
    slow: true,
    ...payload.createKeyPair,
    run: createKeyPair,
    setsPlaceholder: true,
    placeholder: ({ privateKeyUniqueIdentifier }) => privateKeyUniqueIdentifier,
  }),
  route({ operation: 0x04, name: "Re-key", since: 10, setsPlaceholder: true, ...payload.reKey, run: reKey }),
  route({
    operation: 0x1d,
    name: "Re-key Key Pair",
    since: 11,
    slow: true,
    ...payload.reKeyKeyPair,
    run: reKeyKeyPair,
    setsPlaceholder: true,
    placeholder: ({ privateKeyUniqueIdentifier }) => privateKeyUniqueIdentifier,
  }),
  route({
    operation: 0x03,
    name: "Register",
    since: 10,
    request: payload.registerRequest,
    setsPlaceholder: true,
    run: register,
    response: identifiedResponse,
  }),
  route({
    operation: 0x0a,
    name: "Get",
    since: 10,
    request: payload.getRequest,
    run: get,
    judge: objectMustBeHandedOut,
    response: payload.getResponse,
  }),
  route({
    operation: 0x2a,
    name: "Import",
    since: 14,
    request: payload.importRequest,
    setsPlaceholder: true,
    run: importObject,
    response: identifiedResponse,
  }),
  route({
    operation: 0x2b,
    name: "Export",
    since: 14,
    request: payload.getRequest,
    setsPlaceholder: true,
    run: exportObject,
    judge: objectMustBeHandedOut,
    response: payload.exportResponse,
  }),
];
