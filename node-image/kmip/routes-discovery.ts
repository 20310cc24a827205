import { type LocateRequest, type LocateResponse, locate } from "../operations/locate.ts";
import { discoverVersions, query } from "../operations/query.ts";
import * as payload from "./payloads-discovery.ts";
import { type Route, route } from "./route.ts";

/** Finding objects, and what the server can do. */
export const discoveryRoutes: readonly Route[] = [
  route({
    operation: 0x08,
    name: "Locate",
    since: 10,
    setsPlaceholder: true,
    ...payload.locate,
    run: locate,
    placeholder: theOneFound,
  }),
  route({ operation: 0x18, name: "Query", since: 10, ...payload.query, run: query }),
  route({
    operation: 0x1e,
    name: "Discover Versions",
    since: 11,
    ...payload.discoverVersions,
    run: discoverVersions,
  }),
];

/** Of several that match none is named, unless the client asked for one only (4.9). */
function theOneFound({ locatedItems, uniqueIdentifiers: [first] }: LocateResponse, { maximumItems }: LocateRequest) {
  return locatedItems === 1 || maximumItems === 1 ? first : undefined;
}
