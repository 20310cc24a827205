import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Kind } from "../ports/kinds.ts";
import { kindOf, kinds } from "../ports/kinds.ts";
import {
  ApiError,
  type KubernetesApi,
  type ListQuery,
  type Preconditions,
  type WatchEvent,
  type WatchQuery,
} from "../ports/kubernetes-api.ts";
import type { KubernetesObject } from "../ports/types.ts";

/** What a fake was asked to write, in order: "create Lease/keyfleet-bank". */
export type WriteRecord = string;

/** Changes that are kept for watches; who asks for older ones is told "gone". */
const maxHistory = 10_000;

/** Kinds whose status is a subresource. */
const withStatus = new Set(["KmsCluster", "KmsNode", "StatefulSet", "Pod", "PersistentVolumeClaim", "Service"]);

/**
 * One site's API server in memory, as far as the operator can tell: versions and compare-and-swap, uids, generations,
 * label selectors, watches, server-side apply as a deep merge that takes away what its manager no longer applies, status as
 * a subresource, preconditions of deletes.
 */
export class FakeCluster implements KubernetesApi {
  readonly namespace: string;
  readonly writes: WriteRecord[] = [];
  /** Called before each request; may throw, delay (a promise) or change things, to play faults and races. */
  beforeRequest: (request: string) => void | Promise<void> = () => {};
  #objects = new Map<string, KubernetesObject>();
  /** What has happened since the last compaction, in order of versions: a watch goes on from any of them. */
  #history: WatchEvent[] = [];
  #compacted = 0;
  /** What each manager applied last, by manager and object. */
  readonly #applied = new Map<string, KubernetesObject>();
  readonly #watches = new Set<Watch>();
  #version = 100;
  #cut = false;

  constructor(namespace = "keyfleet") {
    this.namespace = namespace;
  }

  /** Nothing reaches the server any more; watches break. */
  cut(): void {
    this.#cut = true;
    for (const { end } of [...this.#watches]) end(new ApiError("unreachable", "cut off"));
  }

  heal(): void {
    this.#cut = false;
  }

  /** Forgets what has happened, and ends all watches with "gone". */
  compact(): void {
    this.#history = [];
    this.#compacted = this.#version;
    for (const { end } of [...this.#watches]) end(new ApiError("gone", "too old resource version"));
  }

  /** What it has now, for `restore`. */
  backup(): Backup {
    return { objects: new Map(this.#objects), version: this.#version };
  }

  /** Its etcd is put back from a backup and it is started again: what came later never was, and versions are used again. */
  restore({ objects, version }: Backup): void {
    this.#objects = new Map(objects);
    this.#version = version;
    this.#history = this.#history.filter((event) => versionOf(event) <= version);
    this.#compacted = Math.min(this.#compacted, version);
    for (const { end } of [...this.#watches]) end(new ApiError("unreachable", "started again"));
  }

  /** The version of the last change. */
  get version(): string {
    return String(this.#version);
  }

  /** Watches that are open. */
  get watches(): number {
    return this.#watches.size;
  }

  /** All objects of a kind as they are now, without a request. */
  all(kind: Kind): readonly KubernetesObject[] {
    return structuredClone([...this.#objects.values()].filter((object) => object.kind === kind));
  }

  /** An object as it is now, without a request. */
  peek(kind: Kind, name: string): KubernetesObject | undefined {
    return structuredClone(this.#objects.get(`${kind}/${name}`));
  }

  /** What a user or another controller does: replaces or makes an object; spec changes raise the generation. */
  put(object: KubernetesObject): KubernetesObject {
    const known = this.#objects.get(key(object));
    const status = object.status ?? known?.status;
    return this.#store({
      ...object,
      metadata: { ...known?.metadata, ...object.metadata },
      ...(status !== undefined && { status }),
    });
  }

  /** What a user or another controller does. */
  drop(kind: Kind, name: string): void {
    this.#remove(`${kind}/${name}`);
  }

  async list(kind: Kind, query: ListQuery = {}) {
    await this.#request(`list ${kind}`);
    const items = [...this.#objects.values()].filter((object) => object.kind === kind && selects(query, object));
    return { items: structuredClone(items), resourceVersion: String(this.#version) };
  }

  async watch(kind: Kind, query: WatchQuery): Promise<void> {
    await this.#request(`watch ${kind}`);
    const from = Number(query.resourceVersion);
    if (from < this.#compacted) throw new ApiError("gone", "too old resource version", { status: 410 });
    await new Promise<void>((resolve, reject) => {
      const end = (error?: ApiError) => {
        this.#watches.delete(entry);
        if (error === undefined) resolve();
        else reject(error);
      };
      const entry = { kind, query, end };
      if (query.signal.aborted) return end(new ApiError("unreachable", "aborted"));
      this.#watches.add(entry);
      query.signal.addEventListener("abort", () => end(new ApiError("unreachable", "aborted")));
      query.onOpen?.();
      for (const event of this.#history.filter((one) => versionOf(one) > from)) tell(entry, event);
    });
  }

  async get(kind: Kind, name: string) {
    await this.#request(`get ${kind}/${name}`);
    return this.peek(kind, name);
  }

  async getMetadata(kind: Kind, name: string) {
    await this.#request(`get ${kind}/${name} metadata`);
    const object = this.peek(kind, name);
    if (object === undefined) return undefined;
    const fields = Object.fromEntries(Object.keys(object.data ?? {}).map((each) => [`f:${each}`, {}]));
    const managedFields = [{ manager: "somebody", fieldsV1: { "f:data": fields } }];
    return {
      apiVersion: "meta.k8s.io/v1",
      kind: "PartialObjectMetadata",
      metadata: { ...object.metadata, managedFields },
    };
  }

  async create(object: KubernetesObject) {
    await this.#request(`create ${key(object)}`, { writes: true });
    if (this.#objects.has(key(object)))
      throw new ApiError("alreadyExists", `${key(object)} already exists`, { status: 409 });
    const { status: _ignored, ...rest } = object;
    return this.#store(withStatus.has(object.kind) ? rest : object);
  }

  async update(object: KubernetesObject) {
    await this.#request(`update ${key(object)}`, { writes: true });
    const known = this.#known(object);
    const expected = object.metadata.resourceVersion;
    if (expected !== undefined && expected !== known.metadata.resourceVersion) {
      throw new ApiError("conflict", `${key(object)} has been modified`, { status: 409 });
    }
    const status = withStatus.has(object.kind) ? known.status : object.status;
    return this.#store({ ...object, ...(status !== undefined && { status }) });
  }

  async apply(object: KubernetesObject, options: { readonly fieldManager: string; readonly subresource?: "status" }) {
    await this.#request(`apply ${key(object)}${options.subresource ? "/status" : ""}`, { writes: true });
    if (options.subresource === "status") return this.#store({ ...this.#known(object), status: object.status });
    const { status: _ignored, ...rest } = object;
    const known = this.#objects.get(key(object));
    const before = this.#applied.get(`${options.fieldManager} ${key(object)}`);
    this.#applied.set(`${options.fieldManager} ${key(object)}`, plain(rest));
    if (known === undefined) return this.#store(rest);
    return this.#store(merged(without(known, before, plain(rest)), rest) as KubernetesObject);
  }

  async delete(kind: Kind, name: string, { uid, resourceVersion }: Preconditions): Promise<void> {
    await this.#request(`delete ${kind}/${name}`, { writes: true });
    const known = this.#objects.get(`${kind}/${name}`);
    if (known === undefined) throw new ApiError("notFound", `${kind}/${name} not found`, { status: 404 });
    const differs = (wanted: string | undefined, is: string | undefined) => wanted !== undefined && wanted !== is;
    if (differs(uid, known.metadata.uid) || differs(resourceVersion, known.metadata.resourceVersion))
      throw new ApiError("conflict", "uid or resourceVersion differs", { status: 409 });
    this.#remove(`${kind}/${name}`);
  }

  async probe(): Promise<string> {
    await this.#request("probe");
    return this.version;
  }

  reconnect(): void {}

  async #request(what: string, { writes = false } = {}): Promise<void> {
    await this.beforeRequest(what);
    if (this.#cut) throw new ApiError("unreachable", "no answer within 2000 ms");
    if (writes) this.writes.push(what);
  }

  #known(object: KubernetesObject): KubernetesObject {
    const known = this.#objects.get(key(object));
    if (known === undefined) throw new ApiError("notFound", `${key(object)} not found`, { status: 404 });
    return known;
  }

  #store(object: KubernetesObject): KubernetesObject {
    const known = this.#objects.get(key(object));
    const metadata = known?.metadata;
    const sameSpec = isDeepStrictEqual(plain(known?.spec), plain(object.spec));
    const generation = ((metadata?.generation as number | undefined) ?? 0) + (known !== undefined && sameSpec ? 0 : 1);
    const next: KubernetesObject = plain({
      ...object,
      metadata: { ...object.metadata, namespace: this.namespace, uid: metadata?.uid as string, generation },
    });
    next.metadata.uid ??= randomUUID(); // of no other API server
    const unchanged = { ...next, metadata: { ...next.metadata, resourceVersion: metadata?.resourceVersion } };
    if (known !== undefined && isDeepStrictEqual(plain(unchanged), plain(known))) return structuredClone(known);
    next.metadata.resourceVersion = String(++this.#version);
    this.#objects.set(key(next), next);
    this.#tell({ type: known === undefined ? "ADDED" : "MODIFIED", object: next });
    return structuredClone(next);
  }

  #remove(name: string): void {
    const object = this.#objects.get(name);
    if (object === undefined) return;
    this.#objects.delete(name);
    const metadata = { ...object.metadata, resourceVersion: String(++this.#version) };
    this.#tell({ type: "DELETED", object: { ...object, metadata } });
  }

  #tell(event: WatchEvent): void {
    this.#history.push(event);
    if (this.#history.length > maxHistory) this.#compacted = versionOf(this.#history.shift() as WatchEvent);
    for (const watch of [...this.#watches]) tell(watch, event);
  }
}

/** What `backup` gives. */
export interface Backup {
  readonly objects: ReadonlyMap<string, KubernetesObject>;
  readonly version: number;
}

interface Watch {
  readonly kind: Kind;
  readonly query: WatchQuery;
  readonly end: (error?: ApiError) => void;
}

/** A server that has gone back tells nothing before the version that it was asked for (apiserver, cacheWatcher.process). */
function tell({ kind, query, end }: Watch, event: WatchEvent): void {
  const isAsked = kind === event.object.kind && selects(query, event.object);
  if (!isAsked || versionOf(event) <= Number(query.resourceVersion)) return;
  try {
    query.onEvent(structuredClone(event));
  } catch (error) {
    end(error as ApiError); // What is not taken breaks the stream.
  }
}

function versionOf({ object }: WatchEvent): number {
  return Number(object.metadata.resourceVersion);
}

/** A KmsCluster, StatefulSet or whatever with the table's apiVersion; for tests. */
export function anObject(kind: Kind, name: string, rest: Record<string, unknown> = {}): KubernetesObject {
  const { metadata, ...fields } = rest as { metadata?: Record<string, unknown> };
  return { apiVersion: kinds[kind].apiVersion, kind, metadata: { ...metadata, name }, ...fields };
}

function key(object: KubernetesObject): string {
  return `${kindOf(object)}/${object.metadata.name}`;
}

function selects({ labelSelector }: ListQuery, { metadata }: KubernetesObject): boolean {
  if (labelSelector === undefined) return true;
  const [label, value] = labelSelector.split("=");
  const actual = metadata.labels?.[label ?? ""];
  return value === undefined ? actual !== undefined : actual === value;
}

function merged(known: unknown, next: unknown): unknown {
  if (!isRecord(known) || !isRecord(next)) return next;
  const entries = Object.entries(next).map(([name, value]) => [name, merged(known[name], value)]);
  return { ...known, ...Object.fromEntries(entries) };
}

/** What is found, less what its manager had applied before and does not apply any more. */
function without(known: unknown, before: unknown, next: unknown): unknown {
  if (!isRecord(known) || !isRecord(before) || !isRecord(next)) return known;
  const entries = Object.entries(known).filter(([name]) => name in next || !(name in before));
  return Object.fromEntries(entries.map(([name, value]) => [name, without(value, before[name], next[name])]));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** As JSON carries it. */
function plain<T>(value: T): T {
  return value === undefined ? value : JSON.parse(JSON.stringify(value));
}
