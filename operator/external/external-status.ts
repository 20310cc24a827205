import type { Condition, KmsNode, KmsNodeStatus } from "@keyfleet/crds/kms-node.ts";
import { type NodeConditionType, nodeConditions } from "@keyfleet/crds/reasons.ts";
import { stringify } from "yaml";
import { requestAnnotation } from "../desired/external.ts";
import type { Reading } from "./status-reader.ts";

/** Port of the status where the specification names none. */
export const defaultStatusPort = 8444;

/** Largest document that a node reads, and that the CRD keeps. */
const maxRequestCharacters = 8_192;

/** The API server repeats what it refuses, which may be long. */
const longestReason = 300;

/** An answer of a node that the API server refused as its status, with the server's reason. */
export interface NotTaken {
  readonly ok: false;
  readonly notTaken: string;
}

/**
 * What the status of an External node shall say: what the node showed of itself, or, while it shows nothing or what the API
 * does not take, what was known before with every condition Unknown; always its document, and until it has a certificate the request that its
 * administrator brought. Pure.
 */
export function externalStatus(node: KmsNode, reading: Reading | NotTaken, nowMs: number): KmsNodeStatus {
  const document = documentOf(node);
  if (reading.ok) {
    const { document: _document, ...shown } = reading.status;
    return { ...shown, document };
  }
  const { certificateRequest: known, ...before } = node.status ?? {};
  const certificateRequest = requestOf(node) ?? known;
  return {
    ...before,
    ...(certificateRequest === undefined ? {} : { certificateRequest }),
    conditions: unknown(node, whyUnknown(node, reading), nowMs),
    document,
  };
}

/** The document for the machine of an External node (YAML): what the API has, without what is only for the API. */
export function documentOf({ apiVersion, kind, metadata, spec }: KmsNode): string {
  const { name, generation } = metadata;
  const head = `# ${name} of fleet ${spec.cluster}: put this file on its machine as it is, and again whenever it has changed.\n`;
  return head + stringify({ apiVersion, kind, metadata: { name, generation }, spec });
}

/** What the administrator brought: a PEM request, whatever is around it left out; undefined when there is none. */
function requestOf({ metadata }: KmsNode): string | undefined {
  const text = metadata.annotations?.[requestAnnotation];
  if (text === undefined || text.length > maxRequestCharacters) return undefined;
  const [pem] =
    /-----BEGIN CERTIFICATE REQUEST-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE REQUEST-----/.exec(text) ?? [];
  return pem === undefined ? undefined : `${pem}\n`;
}

function whyUnknown({ spec }: KmsNode, reading: Exclude<Reading, { ok: true }> | NotTaken): string {
  const { address, statusPort = defaultStatusPort, certificateChain } = spec;
  const place = `${address}:${statusPort}`;
  if ("notTaken" in reading)
    return `what it shows at ${place} is not taken (${reading.notTaken.slice(0, longestReason)}); see that its software is of the version of this fleet`;
  if (certificateChain === undefined) return "it has no certificate yet, so that it cannot show its status";
  return `it does not show its status at ${place} (${reading.problem}); see that it runs with its newest document and that the operator reaches that port`;
}

function unknown(node: KmsNode, message: string, nowMs: number): Condition[] {
  return (Object.keys(nodeConditions) as NodeConditionType[]).map((type) => {
    const before = node.status?.conditions?.find((condition) => condition.type === type);
    const since =
      before?.status === "Unknown" ? before.lastTransitionTime : new Date(nowMs).toISOString().replace(/\.\d+Z$/, "Z");
    return { type, status: "Unknown", reason: "NotObserved", message, lastTransitionTime: since };
  });
}
