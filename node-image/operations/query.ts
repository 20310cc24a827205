import { objectType } from "../objects/enumerations.ts";
import type { Context } from "./context.ts";

/** KMIP Query (4.25): enumeration values of Query Function. */
export interface QueryRequest {
  readonly functions: readonly number[];
}

/** Only what was asked for is present. */
export interface QueryResponse {
  readonly operations: readonly number[];
  readonly objectTypes: readonly number[];
  readonly vendor?: string;
}

/** KMIP Discover Versions (4.26); none asked for means all. */
export interface DiscoverVersionsRequest {
  readonly versions: readonly number[];
}

/** Versions that both know, best first. */
export interface DiscoverVersionsResponse {
  readonly versions: readonly number[];
}

/** KMIP 1.4, 9.1.3.2.24. */
const queryFunction = { operations: 1, objects: 2, serverInformation: 3 } as const;

const objectTypes = [
  objectType.certificate,
  objectType.symmetricKey,
  objectType.publicKey,
  objectType.privateKey,
  objectType.secretData,
  objectType.opaqueObject,
];

/** What this server can do; functions that it has nothing to say on are answered by nothing. */
export async function query(request: QueryRequest, context: Context): Promise<QueryResponse> {
  const { server, version } = context;
  const asked = new Set(request.functions);
  const operations = server.operations.filter(({ since }) => since <= version).map(({ operation }) => operation);
  return {
    operations: asked.has(queryFunction.operations) ? operations : [],
    objectTypes: asked.has(queryFunction.objects) ? objectTypes : [],
    ...(asked.has(queryFunction.serverInformation) ? { vendor: server.vendor } : {}),
  };
}

/** The versions that client and server have in common. */
export async function discoverVersions(
  request: DiscoverVersionsRequest,
  context: Context,
): Promise<DiscoverVersionsResponse> {
  const { versions } = context.server;
  const wanted = request.versions;
  return { versions: wanted.length === 0 ? versions : versions.filter((version) => wanted.includes(version)) };
}
