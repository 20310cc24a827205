import type { Kind } from "./kinds.ts";
import type { KubernetesObject } from "./types.ts";

/**
 * One namespace of one site's API server. Real: connect.ts; in tests: operator/testing/fake-cluster.ts.
 * Every call has a deadline and throws ApiError when the server refuses or does not answer.
 */
export interface KubernetesApi {
  readonly namespace: string;
  /** A consistent list and the version to watch from. */
  list(kind: Kind, query?: ListQuery): Promise<ObjectList>;
  /** Calls onEvent for each change until the server ends the stream (resolves) or it breaks (rejects; code "gone" means: list anew). */
  watch(kind: Kind, query: WatchQuery): Promise<void>;
  /** Undefined when there is none. */
  get(kind: Kind, name: string): Promise<KubernetesObject | undefined>;
  /** Metadata only: of a Secret not a single value is fetched. Undefined when there is none. */
  getMetadata(kind: Kind, name: string): Promise<KubernetesObject | undefined>;
  create(object: KubernetesObject): Promise<KubernetesObject>;
  /** Replaces; with a resourceVersion only that version (compare-and-swap), else code "conflict". */
  update(object: KubernetesObject): Promise<KubernetesObject>;
  /** Server-side apply, taking over conflicting fields. */
  apply(object: KubernetesObject, options: ApplyOptions): Promise<KubernetesObject>;
  /** Deletes the object while it is the one of the preconditions; code "notFound" or "conflict" when it is gone or is not. */
  delete(kind: Kind, name: string, preconditions: Preconditions): Promise<void>;
  /** Cheapest authenticated question: does the server answer us. The version of all that it has, which only grows. */
  probe(): Promise<string>;
  /** Drops all connections, so that the next call makes new ones: old ones may hang after a network loss. */
  reconnect(): void;
}

/** Of a deletion; what is undefined may be anything. */
export interface Preconditions {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

export interface ListQuery {
  readonly labelSelector?: string;
}

export interface WatchQuery extends ListQuery {
  readonly resourceVersion: string;
  readonly signal: AbortSignal;
  /** Told when the server has taken it. */
  readonly onOpen?: () => void;
  readonly onEvent: (event: WatchEvent) => void;
}

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: KubernetesObject;
}

export interface ObjectList {
  readonly items: readonly KubernetesObject[];
  readonly resourceVersion: string;
}

export interface ApplyOptions {
  readonly fieldManager: string;
  readonly subresource?: "status";
}

/** What an API server's refusal means for us. */
export type ApiErrorCode =
  | "notFound"
  | "conflict"
  | "alreadyExists"
  | "unauthorized"
  | "forbidden"
  | "invalid"
  | "gone"
  | "busy"
  | "unreachable"
  | "notLeading"
  /** What answers, or what it has, is nothing that a Kubernetes API has. */
  | "garbled"
  | "failed";

/** A refusal or a silence of an API server. The message is the server's own, or says what hung; it holds no secrets. */
export class ApiError extends Error {
  readonly code: ApiErrorCode;
  readonly status: number | undefined;

  constructor(
    code: ApiErrorCode,
    message: string,
    options: { readonly status?: number; readonly cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = "ApiError";
    this.code = code;
    this.status = options.status;
  }
}

const codes: Readonly<Record<number, ApiErrorCode>> = {
  400: "invalid",
  401: "unauthorized",
  403: "forbidden",
  404: "notFound",
  409: "conflict",
  410: "gone",
  422: "invalid",
  429: "busy",
  500: "failed",
  503: "busy",
  504: "busy",
};

/** The error that an HTTP status and a Kubernetes Status body stand for. */
export function apiErrorOf(status: number, body: { readonly reason?: unknown; readonly message?: unknown }): ApiError {
  const code = body.reason === "AlreadyExists" ? "alreadyExists" : (codes[status] ?? "failed");
  const message = typeof body.message === "string" ? body.message.slice(0, 1024) : `HTTP ${status}`;
  return new ApiError(code, message, { status });
}

/** Whether an error is an ApiError of one of these codes. */
export function isApiError(error: unknown, ...wanted: readonly ApiErrorCode[]): error is ApiError {
  return error instanceof ApiError && (wanted.length === 0 || wanted.includes(error.code));
}
