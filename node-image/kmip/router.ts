import { addAttribute, deleteAttribute, modifyAttribute } from "../operations/change-attributes.ts";
import type { Context } from "../operations/context.ts";
import { create } from "../operations/create.ts";
import { get } from "../operations/get.ts";
import { getAttributeList, getAttributes } from "../operations/get-attributes.ts";
import { activate, destroy, revoke } from "../operations/lifecycle.ts";
import { locate } from "../operations/locate.ts";
import { discoverVersions, query } from "../operations/query.ts";
import { register } from "../operations/register.ts";
import type { Item } from "../ttlv/types.ts";
import type { Reader, Writer } from "./payloads.ts";
import * as payload from "./payloads.ts";

/** One operation: how its payloads are read and written, and what does it. */
export interface Route {
  readonly name: string;
  readonly since: number;
  readonly run: (request: Item, context: Context, placeholder: string | undefined) => Promise<Answer>;
}

/** A response, written for the client's version only after the operation is done. */
export interface Answer {
  readonly write: (version: number) => Item;
  /** The identifier that later items of the batch mean when they name none. */
  readonly placeholder: string | undefined;
  /** Secret bytes to zero once the answer is on the wire. */
  readonly secret: Buffer | undefined;
}

/** What is served, by KMIP Operation (9.1.3.2.27). */
export const router: ReadonlyMap<number, Route> = new Map([
  [0x01, route({ name: "Create", since: 10, read: payload.readCreate, run: create, write: payload.writeCreate })],
  [
    0x03,
    route({ name: "Register", since: 10, read: payload.readRegister, run: register, write: payload.writeIdentified }),
  ],
  [0x08, route({ name: "Locate", since: 10, read: payload.readLocate, run: locate, write: payload.writeLocate })],
  [0x0a, route({ name: "Get", since: 10, read: payload.readGet, run: get, write: payload.writeGet })],
  [
    0x0b,
    route({
      name: "Get Attributes",
      since: 10,
      read: payload.readGetAttributes,
      run: getAttributes,
      write: payload.writeGetAttributes,
    }),
  ],
  [
    0x0c,
    route({
      name: "Get Attribute List",
      since: 10,
      read: payload.readIdentified,
      run: getAttributeList,
      write: payload.writeGetAttributeList,
    }),
  ],
  [
    0x0d,
    route({
      name: "Add Attribute",
      since: 10,
      read: payload.readChangeAttribute,
      run: addAttribute,
      write: payload.writeChangeAttribute,
    }),
  ],
  [
    0x0e,
    route({
      name: "Modify Attribute",
      since: 10,
      read: payload.readChangeAttribute,
      run: modifyAttribute,
      write: payload.writeChangeAttribute,
    }),
  ],
  [
    0x0f,
    route({
      name: "Delete Attribute",
      since: 10,
      read: payload.readDeleteAttribute,
      run: deleteAttribute,
      write: payload.writeChangeAttribute,
    }),
  ],
  [
    0x12,
    route({ name: "Activate", since: 10, read: payload.readIdentified, run: activate, write: payload.writeIdentified }),
  ],
  [0x13, route({ name: "Revoke", since: 10, read: payload.readRevoke, run: revoke, write: payload.writeIdentified })],
  [
    0x14,
    route({ name: "Destroy", since: 10, read: payload.readIdentified, run: destroy, write: payload.writeIdentified }),
  ],
  [0x18, route({ name: "Query", since: 10, read: payload.readQuery, run: query, write: payload.writeQuery })],
  [
    0x1e,
    route({
      name: "Discover Versions",
      since: 11,
      read: payload.readDiscoverVersions,
      run: discoverVersions,
      write: payload.writeDiscoverVersions,
    }),
  ],
]);

/** Protocol versions spoken, best first. */
export const versions = [14, 13, 12, 11, 10] as const;

function route<Request, Response extends object>(row: {
  readonly name: string;
  readonly since: number;
  readonly read: Reader<Request>;
  readonly run: (request: Request, context: Context) => Promise<Response>;
  readonly write: Writer<Response>;
}): Route {
  const { name, since, read, run, write } = row;
  return {
    name,
    since,
    run: async (item, context, placeholder) => {
      const response = await run(read(item, placeholder), context);
      return {
        write: (version) => write(response, version),
        placeholder: identifierOf(response),
        secret: secretOf(response),
      };
    },
  };
}

/** Locate gives the placeholder only when it found exactly one (4.9). */
function identifierOf(response: object): string | undefined {
  if ("uniqueIdentifier" in response) return response.uniqueIdentifier as string;
  const found = "uniqueIdentifiers" in response ? (response.uniqueIdentifiers as readonly string[]) : [];
  return found.length === 1 ? found[0] : undefined;
}

function secretOf(response: object): Buffer | undefined {
  return "material" in response ? (response.material as { bytes: Buffer }).bytes : undefined;
}
