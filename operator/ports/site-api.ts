import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { kindOf } from "./kinds.ts";
import { isApiError, type KubernetesApi } from "./kubernetes-api.ts";
import { fleetFinalizer } from "./spec-copy.ts";
import type { Clock, KubernetesObject, Log, OperatorEvent, SiteApi } from "./types.ts";

/** Names of the operator in managedFields. Two, so that an apply of spec never gives up fields of status. */
const fieldManager = "keyfleet";
const statusManager = "keyfleet-status";
/** Largest note that events.k8s.io takes. */
const maxNoteBytes = 1024;

/** Where written objects are told to, so that the next pass sees them before the watch does. */
export interface WriteSink {
  /** The newest known version of an object. */
  known(object: KubernetesObject): KubernetesObject | undefined;
  wrote(object: KubernetesObject): void;
  removed(object: KubernetesObject): void;
}

/** What a pass may do to its own site, on top of one namespace's API. */
export function siteApi(options: {
  readonly api: KubernetesApi;
  readonly sink: WriteSink;
  readonly site: string;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: Log;
}): SiteApi {
  const { api, sink, signal } = options;

  return {
    async apply(object) {
      signal.throwIfAborted();
      const applied = await api.apply(inNamespace(object, api.namespace), { fieldManager });
      sink.wrote(applied);
      return applied;
    },
    async remove(object) {
      signal.throwIfAborted();
      try {
        await api.delete(kindOf(object), object.metadata.name, { uid: object.metadata.uid });
      } catch (error) {
        // Gone, or another object of that name by now: what was to go is gone.
        if (!isApiError(error, "notFound", "conflict")) throw error;
      }
      sink.removed(object);
    },
    async removeAsSeen(object, others) {
      signal.throwIfAborted();
      const same = await Promise.all([object, ...others].map((seen) => isAsSeen(seen, options)));
      if (same.includes(false)) return false;
      const { name, uid, resourceVersion } = object.metadata;
      try {
        await api.delete(kindOf(object), name, { uid, resourceVersion });
      } catch (error) {
        if (isApiError(error, "notFound", "conflict")) return false;
        throw error;
      }
      sink.removed(object);
      return true;
    },
    async readSecret(name) {
      signal.throwIfAborted();
      const secret = await api.get("Secret", name);
      return secret === undefined ? undefined : decoded(secret.data);
    },
    async createSecret(object) {
      signal.throwIfAborted();
      try {
        sink.wrote(await api.create(inNamespace(object, api.namespace)));
        return true;
      } catch (error) {
        if (!isApiError(error, "alreadyExists", "conflict")) throw error;
        await refuseUnlabelled(object, api);
        return false;
      }
    },
    async writeStatus(object) {
      signal.throwIfAborted();
      if (isDeepStrictEqual(plain(sink.known(object)?.status), plain(object.status))) return false;
      const { apiVersion, kind, metadata, status } = object;
      const body = { apiVersion, kind, metadata: { name: metadata.name, namespace: api.namespace }, status };
      sink.wrote(await api.apply(body, { fieldManager: statusManager, subresource: "status" }));
      return true;
    },
    async letGo(object) {
      signal.throwIfAborted();
      const finalizers = ((object.metadata.finalizers ?? []) as string[]).filter((name) => name !== fleetFinalizer);
      try {
        await api.update({ ...object, metadata: { ...object.metadata, finalizers } });
      } catch (error) {
        if (!isApiError(error, "notFound")) throw error;
      }
    },
    async event(event) {
      try {
        await api.create(eventObject(event, { ...options, namespace: api.namespace }));
      } catch (error) {
        options.log.warn("event not written", { reason: event.reason, problem: (error as Error).message });
      }
    },
  };
}

/** Without its labels (put back from a backup, say) a Secret is never seen, and would be made again and again in vain. */
async function refuseUnlabelled({ metadata }: KubernetesObject, api: KubernetesApi): Promise<void> {
  const found = await api.getMetadata("Secret", metadata.name);
  const missing = Object.entries(metadata.labels ?? {}).filter(
    ([name, value]) => found?.metadata.labels?.[name] !== value,
  );
  if (found === undefined || missing.length === 0) return;
  const labels = missing.map(([name, value]) => `${name}=${value}`).join(" ");
  throw new Error(`Secret ${metadata.name} is there without the labels ${labels}, so nobody looks at it`);
}

/** Reads an object; what it has become is told to the caches, which may have missed that. */
async function isAsSeen(
  seen: KubernetesObject,
  { api, sink }: { readonly api: KubernetesApi; readonly sink: WriteSink },
): Promise<boolean> {
  const found = await api.get(kindOf(seen), seen.metadata.name);
  if (found === undefined) sink.removed(seen);
  else if (found.metadata.resourceVersion !== seen.metadata.resourceVersion) sink.wrote(found);
  else return true;
  return false;
}

function inNamespace(object: KubernetesObject, namespace: string): KubernetesObject {
  // resourceVersion and managedFields of a read object make no sense in an apply.
  const { resourceVersion: _version, managedFields: _fields, uid: _uid, ...metadata } = object.metadata;
  return { ...object, metadata: { ...metadata, namespace } };
}

/** As JSON carries it: without undefined members, so that what was written equals what is read back. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

function decoded(data: unknown): Record<string, Buffer> {
  const entries = Object.entries((data ?? {}) as Record<string, string>);
  return Object.fromEntries(entries.map(([key, value]) => [key, Buffer.from(value, "base64")]));
}

function eventObject(
  event: OperatorEvent,
  options: { readonly site: string; readonly namespace: string; readonly clock: Clock },
): KubernetesObject {
  const { metadata, apiVersion, kind } = event.regarding;
  const now = options.clock.nowMs();
  const suffix = `${now.toString(16)}${randomUUID().slice(0, 4)}`;
  const { name, uid, resourceVersion } = metadata;
  return {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: `${name.slice(0, 200)}.${suffix}`, namespace: options.namespace },
    // The API wants microseconds.
    eventTime: new Date(now).toISOString().replace("Z", "000Z"),
    reportingController: "keyfleet.io/operator",
    reportingInstance: `keyfleet-operator-${options.site}`,
    type: event.type,
    reason: event.reason,
    action: event.action,
    note: shortened(event.note),
    regarding: { apiVersion, kind, name, namespace: options.namespace, uid, resourceVersion },
  };
}

function shortened(note: string): string {
  if (Buffer.byteLength(note) <= maxNoteBytes) return note;
  return `${Buffer.from(note)
    .subarray(0, maxNoteBytes - 4)
    .toString("utf8")
    .replace(/\uFFFD$/, "")}…`;
}
