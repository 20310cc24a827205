import type { Kind } from "./kinds.ts";
import { ApiError, apiErrorOf, type WatchEvent } from "./kubernetes-api.ts";
import type { KubernetesObject } from "./types.ts";

/**
 * What stands in the place of an API server may answer anything with 200: a proxy's page, half a document. Whatever is no
 * answer of a Kubernetes API becomes an ApiError here, as if nobody had answered, so that nothing behind has to doubt it.
 */
export function objectIn(answer: unknown, kind: Kind): KubernetesObject {
  if (isObject(answer) && isOf(kind, answer)) return answer;
  throw notKubernetes(`an object of kind ${kind}`);
}

/** One page of a list. */
export interface Page {
  readonly items: readonly KubernetesObject[];
  readonly resourceVersion: string;
  /** Where the next page begins; undefined on the last. */
  readonly next: string | undefined;
}

/** Reads a page of a list. One without a version could not be followed by a watch: what goes meanwhile would be missed. */
export function pageIn(answer: unknown, kind: Kind): Page {
  const list = isRecord(answer) ? answer : {};
  const all: unknown = list.items ?? [];
  const { resourceVersion, continue: next } = isRecord(list.metadata) ? list.metadata : {};
  const isList = isOf(`${kind}List`, list) && typeof resourceVersion === "string" && resourceVersion !== "";
  if (!isList || !Array.isArray(all) || !all.every(isObject)) throw notKubernetes(`a list of kind ${kind}`);
  return { items: all, resourceVersion, next: next ? String(next) : undefined };
}

const changes: ReadonlySet<unknown> = new Set(["ADDED", "MODIFIED", "DELETED"]);

/** Reads a line of a watch. Throws what the server says in an event of type ERROR. */
export function eventIn(line: string, kind: Kind): WatchEvent {
  const { type, object } = (parsed(line) ?? {}) as { type?: unknown; object?: unknown };
  if (type === "ERROR" && isRecord(object)) throw apiErrorOf(Number(object.code ?? 500), object);
  const isBookmark = type === "BOOKMARK" && isRecord(object) && isRecord(object.metadata);
  if (isBookmark || (changes.has(type) && isObject(object) && isOf(kind, object)))
    return { type, object } as WatchEvent;
  throw notKubernetes(`an event of kind ${kind}`);
}

/** The parser's message quotes the line, which may be of a Secret. */
function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** Whether it is what was asked for, or the metadata of that. */
function isOf(kind: string, { kind: actual }: { readonly kind?: unknown }): boolean {
  return actual === kind || actual === (kind.endsWith("List") ? "PartialObjectMetadataList" : "PartialObjectMetadata");
}

function isObject(value: unknown): value is KubernetesObject {
  return isRecord(value) && isRecord(value.metadata) && typeof value.metadata.name === "string";
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function notKubernetes(what: string): ApiError {
  return new ApiError("garbled", `what answers is no Kubernetes API: ${what} was expected`);
}
