import { cryptographicAlgorithm, objectType, protectionStorage, rngAlgorithm } from "../objects/enumerations.ts";
import type { Context, ServerInformation } from "./context.ts";
import type { ObjectDefaults } from "./fleet-policy.ts";
import { profilesOf } from "./profiles.ts";

/** KMIP Query (4.25): enumeration values of Query Function. */
export interface QueryRequest {
  readonly functions: readonly number[];
}

/** Only what was asked for is present. */
export interface QueryResponse {
  readonly operations: readonly number[];
  readonly objectTypes: readonly number[];
  readonly vendor?: string;
  readonly serverInformation?: { readonly productName: string; readonly serverVersion?: string };
  readonly rngs: readonly RngParameters[];
  readonly profiles: readonly { readonly name: number }[];
  readonly capabilities: readonly Capabilities[];
  readonly registrationMethods: readonly number[];
  readonly defaults?: readonly ObjectDefaults[];
  readonly storageMasks?: readonly number[];
}

/** How random numbers are made. */
export interface RngParameters {
  readonly rngAlgorithm: number;
  readonly cryptographicAlgorithm: number;
  readonly cryptographicLength: number;
  readonly drbgAlgorithm: number;
}

/** KMIP Capability Information (2.1.21). */
export interface Capabilities {
  readonly streaming: boolean;
  readonly asynchronous: boolean;
  readonly attestation: boolean;
  readonly batchUndo: boolean;
  readonly batchContinue: boolean;
  readonly destroyAction: number;
  readonly rngMode: number;
  readonly quantumSafe: boolean;
}

/** KMIP Discover Versions (4.26); none asked for means all. */
export interface DiscoverVersionsRequest {
  readonly versions: readonly number[];
}

/** Versions that both know, best first. */
export interface DiscoverVersionsResponse {
  readonly versions: readonly number[];
}

/** KMIP 1.4, 9.1.3.2.24; 2.1, 11.44. Functions that are absent have nothing to tell here. */
const queryFunction = {
  operations: 1,
  objects: 2,
  serverInformation: 3,
  rngs: 8,
  profiles: 10,
  capabilities: 11,
  clientRegistrationMethods: 12,
  defaultsInformation: 13,
  storageProtectionMasks: 14,
} as const;

const objectTypes = [
  objectType.certificate,
  objectType.symmetricKey,
  objectType.publicKey,
  objectType.privateKey,
  objectType.splitKey,
  objectType.template,
  objectType.secretData,
  objectType.opaqueObject,
  objectType.pgpKey,
  objectType.certificateRequest,
];

/** OpenSSL's generator, of which every process has one. */
const rng: RngParameters = {
  rngAlgorithm: rngAlgorithm.drbg,
  cryptographicAlgorithm: cryptographicAlgorithm.aes,
  cryptographicLength: 256,
  drbgAlgorithm: 5, // CTR
};

const capabilities: Capabilities = {
  streaming: true,
  asynchronous: true,
  attestation: false,
  batchUndo: true,
  batchContinue: true,
  destroyAction: 2, // Key Material Deleted
  rngMode: 2, // Shared Instantiation
  quantumSafe: true,
};

const clientRegistered = 5;

/** What this server can do; functions that it has nothing to say on are answered by nothing. */
export async function query(request: QueryRequest, context: Context): Promise<QueryResponse> {
  const { server, version } = context;
  const asked = new Set(request.functions);
  const operations = server.operations.filter(({ since }) => since <= version).map(({ operation }) => operation);
  return {
    operations: asked.has(queryFunction.operations) ? operations : [],
    objectTypes: asked.has(queryFunction.objects) ? objectTypes : [],
    ...(asked.has(queryFunction.serverInformation) ? information(server) : {}),
    rngs: asked.has(queryFunction.rngs) ? [rng] : [],
    profiles: asked.has(queryFunction.profiles) ? profilesOf(version).map((name) => ({ name })) : [],
    capabilities: asked.has(queryFunction.capabilities) ? [capabilities] : [],
    registrationMethods: asked.has(queryFunction.clientRegistrationMethods) ? [clientRegistered] : [],
    ...(asked.has(queryFunction.defaultsInformation) ? await defaults(context) : {}),
    ...(asked.has(queryFunction.storageProtectionMasks) ? { storageMasks: [protectionStorage.software] } : {}),
  };
}

async function defaults(context: Context): Promise<Pick<QueryResponse, "defaults">> {
  const { defaults: found } = await context.policy.current(context.store);
  return { defaults: found };
}

function information({ vendor }: ServerInformation) {
  return { vendor, serverInformation: { productName: vendor } };
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
