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
import * as payload from "./payloads.ts";
import type { Reader, Writer } from "./payloads.ts";

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
  [0x01, route("Create", 10, payload.readCreate, create, payload.writeCreate)],
  [0x03, route("Register", 10, payload.readRegister, register, payload.writeIdentified)],
  [0x08, route("Locate", 10, payload.readLocate, locate, payload.writeLocate)],
  [0x0a, route("Get", 10, payload.readGet, get, payload.writeGet)],
  [0x0b, route("Get Attributes", 10, payload.readGetAttributes, getAttributes, payload.writeGetAttributes)],
  [0x0c, route("Get Attribute List", 10, payload.readIdentified, getAttributeList, payload.writeGetAttributeList)],
  [0x0d, route("Add Attribute", 10, payload.readChangeAttribute, addAttribute, payload.writeChangeAttribute)],
  [0x0e, route("Modify Attribute", 10, payload.readChangeAttribute, modifyAttribute, payload.writeChangeAttribute)],
  [0x0f, route("Delete Attribute", 10, payload.readDeleteAttribute, deleteAttribute, payload.writeChangeAttribute)],
  [0x12, route("Activate", 10, payload.readIdentified, activate, payload.writeIdentified)],
  [0x13, route("Revoke", 10, payload.readRevoke, revoke, payload.writeIdentified)],
  [0x14, route("Destroy", 10, payload.readIdentified, destroy, payload.writeIdentified)],
  [0x18, route("Query", 10, payload.readQuery, query, payload.writeQuery)],
  [0x1e, route("Discover Versions", 11, payload.readDiscoverVersions, discoverVersions, payload.writeDiscoverVersions)],
]);

/** Protocol versions spoken, best first. */
export const versions = [14, 13, 12, 11, 10] as const;

// biome-ignore lint/complexity/useMaxParams: a row of the table above reads best as one line
function route<Request, Response extends object>(
  name: string,
  since: number,
  read: Reader<Request>,
  run: (request: Request, context: Context) => Promise<Response>,
  write: Writer<Response>,
): Route {
  return {
    name,
    since,
    run: async (item, context, placeholder) => {
      const response = await run(read(item, placeholder), context);
      return { write: (version) => write(response, version), placeholder: identifierOf(response), secret: secretOf(response) };
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
