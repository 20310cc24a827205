import { ApiError, apiErrorOf, type WatchEvent } from "./kubernetes-api.ts";
import type { KubernetesObject } from "./types.ts";

/**
 * What stands in the place of an API server may answer anything with 200: a proxy's page, half a document. Whatever is no
 * answer of a Kubernetes API becomes an ApiError here, as if nobody had answered, so that nothing behind has to doubt it.
 */
export function objectIn(answer: unknown): KubernetesObject {
  if (isObject(answer)) return answer;
  throw notKubernetes("an object");
}

/** One page of a list. */
export interface Page {
  readonly items: readonly KubernetesObject[];
  readonly resourceVersion: string;
  /** Where the next page begins; undefined on the last. */
  readonly next: string | undefined;
}

/** Reads a page of a list. */
export function pageIn(answer: unknown): Page {
  const { metadata, items } = (answer ?? {}) as { readonly metadata?: unknown; readonly items?: unknown };
  const all: unknown = items ?? [];
  if (!isRecord(metadata) || !Array.isArray(all) || !all.every(isObject)) throw notKubernetes("a list");
  const { resourceVersion, continue: next } = metadata;
  return { items: all, resourceVersion: String(resourceVersion ?? ""), next: next ? String(next) : undefined };
}

const changes: ReadonlySet<unknown> = new Set(["ADDED", "MODIFIED", "DELETED"]);

/** Reads a line of a watch. Throws what the server says in an event of type ERROR. */
export function eventIn(line: string): WatchEvent {
  const { type, object } = (JSON.parse(line) ?? {}) as { type?: unknown; object?: unknown };
  if (type === "ERROR" && isRecord(object)) throw apiErrorOf(Number(object.code ?? 500), object);
  const isBookmark = type === "BOOKMARK" && isRecord(object) && isRecord(object.metadata);
  if (isBookmark || (changes.has(type) && isObject(object))) return { type, object } as WatchEvent;
  throw notKubernetes("an event");
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
