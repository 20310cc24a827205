import { isDeepStrictEqual } from "node:util";
import { pause } from "../ports/clock.ts";
import type { Kind } from "../ports/kinds.ts";
import {
  ApiError,
  isApiError,
  type KubernetesApi,
  type ListQuery,
  type ObjectList,
  type WatchEvent,
} from "../ports/kubernetes-api.ts";
import type { Clock, KubernetesObject, Log } from "../ports/types.ts";
import { sharingWith } from "./shared-parts.ts";

export interface InformerOptions {
  readonly api: KubernetesApi;
  readonly kind: Kind;
  readonly labelSelector?: string;
  /** What of an object is kept in memory; the rest is dropped before it is stored. */
  readonly keep?: (object: KubernetesObject) => KubernetesObject;
  /** What is wrong with an object, so that nothing that is seen there is to be believed. */
  readonly wrongIn?: (object: KubernetesObject) => string | undefined;
  /** Told of each object that appeared, changed or went. */
  readonly onChange: (object: KubernetesObject) => void;
  /** Told when what is there may be believed: a whole list has come, or it may be looked at again. */
  readonly onListed?: () => void;
  /** Told why list or watch did not work. */
  readonly onError?: (error: unknown) => void;
  readonly clock: Clock;
  readonly log: Log;
}

const firstRetryMs = 500;
const longestRetryMs = 15_000;
/** After so long everything is listed anew, whatever the watch said: a missed event heals. */
const relistMs = 30 * 60_000;
/** After so long without a watch that lasts it is listed instead: a server or proxy may let nobody watch. */
const unwatchedMs = 45_000;
/** Objects of one kind in one namespace; more are refused, since something is very wrong then. */
const maxObjects = 20_000;

/**
 * A cache of one kind, kept fresh by list and watch: continues from bookmarks, lists anew after "gone" (410) and every
 * half hour, lists now and then where it may not watch, waits longer after each failure, and never gives up. While the
 * server is away the last good state stays.
 */
export class Informer {
  readonly #options: InformerOptions;
  #objects = new Map<string, KubernetesObject>();
  /** The object of each fleet that was stored last, and the last of all (""): the next one shares with it what is equal. */
  #latest = new Map<string, KubernetesObject>();
  /** Names of what this process wrote or deleted since the last list was asked for, which may be older than that. */
  readonly #written = new Set<string>();
  #version = "";
  #listedAtMs = 0;
  /** When it was last known to be as the API server has it: listed, or at the end of a watch that had lasted. */
  #currentAtMs = 0;
  #fresh = false;
  #failures = 0;
  #refusal: string | undefined;
  #stop: AbortController | undefined;
  #round = new AbortController();

  constructor(options: InformerOptions) {
    this.#options = options;
  }

  /** Starts; answers at once. */
  start(): void {
    if (this.#stop !== undefined) return;
    this.#stop = new AbortController();
    void this.#run(this.#stop.signal);
  }

  stop(): void {
    this.#stop?.abort();
    this.#round.abort();
  }

  /** Lists anew at once: the connection may have hung while the site was away. */
  restart(): void {
    this.#version = "";
    this.#fresh = false;
    this.#failures = 0;
    this.#round.abort();
  }

  /** Whether a whole list was seen since the start or the last restart, and what is there now may still be looked at. */
  get fresh(): boolean {
    return this.#fresh && this.#refusal === undefined;
  }

  /** Why the API server lets nobody look any more; undefined while it does. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** The newest known state, in order of names. */
  items(): readonly KubernetesObject[] {
    return [...this.#objects.values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }

  get(name: string): KubernetesObject | undefined {
    return this.#objects.get(name);
  }

  /** Takes over what this process has just written, so that the next pass does not plan on older facts. */
  wrote(object: KubernetesObject): void {
    // The answer to a write may come after the watch has told that the object is gone again.
    if (!this.#objects.has(object.metadata.name) && !isLater(object.metadata.resourceVersion, this.#version)) return;
    this.#written.add(object.metadata.name);
    this.#store(object, { tell: false });
  }

  /** Takes over that this process has just deleted it; the watch tells when it is really gone. */
  removed(object: KubernetesObject): void {
    const known = this.#objects.get(object.metadata.name);
    if (known === undefined || known.metadata.uid !== object.metadata.uid) return;
    this.#written.add(object.metadata.name);
    const deletionTimestamp = new Date(this.#options.clock.nowMs()).toISOString();
    this.#objects.set(object.metadata.name, { ...known, metadata: { deletionTimestamp, ...known.metadata } });
  }

  async #run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      this.#round = new AbortController();
      try {
        await this.#listAndWatch(this.#round.signal);
      } catch (error) {
        if (!this.#round.signal.aborted) await this.#recover(error);
      }
    }
  }

  async #listAndWatch(signal: AbortSignal): Promise<void> {
    const { api, kind, labelSelector, clock } = this.#options;
    const query = labelSelector === undefined ? {} : { labelSelector };
    if (this.#version === "") await this.#list(query, signal);
    else if (this.#isToBeListed()) await this.#list(query, signal).catch((error: unknown) => this.#unlisted(error));
    if (signal.aborted) return;
    const startedAtMs = clock.monotonicMs();
    const onEvent = (event: WatchEvent) => {
      if (!signal.aborted) this.#take(event);
    };
    let cancel = () => {};
    const onOpen = () => {
      cancel = this.#whenItLasts();
    };
    const watch = { ...query, resourceVersion: this.#version, signal, onOpen, onEvent };
    await api.watch(kind, watch).finally(() => {
      cancel();
      if (this.#failures === 0) this.#currentAtMs = clock.monotonicMs();
    });
    // A server that ends watches at once is asked ever more seldom too.
    if (clock.monotonicMs() - startedAtMs < firstRetryMs) await pause(clock, this.#nextRetryMs(), signal);
  }

  #isToBeListed(): boolean {
    const now = this.#options.clock.monotonicMs();
    return now - this.#listedAtMs > relistMs || now - this.#currentAtMs > unwatchedMs;
  }

  /** What cannot be listed for now may still be watched. */
  #unlisted(error: unknown): void {
    if (!isApiError(error) || isApiError(error, "forbidden", "garbled", "gone")) throw error;
    const { kind, log } = this.#options;
    log.debug("not listed anew", { kind, problem: error });
  }

  /** Apart from the watch: what waits for that would hold the whole answer, with all that is not kept, for as long. */
  async #list(query: ListQuery, signal: AbortSignal): Promise<void> {
    const { api, kind, clock } = this.#options;
    this.#written.clear();
    const list = await api.list(kind, query);
    if (signal.aborted) return;
    this.#replace(list);
    this.#version = list.resourceVersion;
    this.#listedAtMs = clock.monotonicMs();
    this.#currentAtMs = this.#listedAtMs;
  }

  /**
   * Whoever may list cannot always watch, so only a watch that lasts shows that all is well: then failures are forgotten, and
   * what is there may be looked at again. Answers what ends the wait.
   */
  #whenItLasts(): () => void {
    return this.#options.clock.after(firstRetryMs, () => {
      this.#failures = 0;
      if (this.#refusal === undefined) return;
      this.#refusal = undefined;
      this.#options.onListed?.();
    });
  }

  async #recover(error: unknown): Promise<void> {
    const { clock, kind, log } = this.#options;
    if (isApiError(error, "gone")) this.#version = "";
    if (isApiError(error, "gone") && this.#failures++ === 0) return;
    // What was seen last stays; it is no view of what is there now.
    if (isApiError(error, "garbled")) {
      this.#version = "";
      this.#fresh = false;
    }
    if (isApiError(error, "forbidden")) this.#refused(error.message);
    // A stream that breaks is daily life; the cache is continued from where it was.
    const delayMs = this.#nextRetryMs();
    log.debug("watch interrupted", { kind, problem: error, retryAfterMs: delayMs });
    this.#options.onError?.(error);
    if (!(error instanceof ApiError)) log.error("watch failed", { kind, problem: error });
    await pause(clock, delayMs, this.#round.signal);
  }

  #nextRetryMs(): number {
    return Math.min(firstRetryMs * 2 ** Math.min(this.#failures++, 10), longestRetryMs);
  }

  /** A right was taken away: unlike a server that is away, that does not pass by itself. */
  #refused(problem: string): void {
    const { kind, log } = this.#options;
    if (this.#refusal !== problem) log.warn("not allowed to look", { kind, problem });
    this.#refusal = problem;
    this.#version = "";
  }

  /** A list is what there is, also where that is older than what was seen: the site may have been restored from a backup. */
  #replace({ items, resourceVersion }: ObjectList): void {
    const names = new Set(items.map((item) => item.metadata.name));
    for (const [name, object] of this.#objects) {
      const isYounger = this.#written.has(name) && isLater(object.metadata.resourceVersion, resourceVersion);
      if (!names.has(name) && !isYounger) this.#drop(object);
    }
    for (const item of items) {
      if (this.#written.has(item.metadata.name)) this.#store(item, { tell: true });
      else this.#keep(item, { tell: true });
    }
    this.#fresh = true;
    this.#options.onListed?.();
  }

  #take({ type, object }: WatchEvent): void {
    this.#version = object.metadata.resourceVersion ?? this.#version;
    if (type === "BOOKMARK") return;
    if (type === "DELETED") this.#drop(object);
    else this.#store(object, { tell: true });
  }

  /** Takes over what is newer than what is known. */
  #store(object: KubernetesObject, { tell }: { readonly tell: boolean }): void {
    const known = this.#objects.get(object.metadata.name);
    const isSame = known !== undefined && known.metadata.uid === object.metadata.uid;
    if (!isSame || isLater(object.metadata.resourceVersion, known.metadata.resourceVersion))
      this.#keep(object, { tell });
  }

  #keep(object: KubernetesObject, { tell }: { readonly tell: boolean }): void {
    const { name } = object.metadata;
    const wrong = this.#options.wrongIn?.(object);
    if (wrong !== undefined) throw new ApiError("garbled", `${name.slice(0, 253)} is not as it must be: ${wrong}`);
    const known = this.#objects.get(name);
    if (known === undefined && this.#objects.size >= maxObjects) {
      throw new ApiError(
        "failed",
        `more than ${maxObjects} objects of kind ${this.#options.kind}; the rest is not seen`,
      );
    }
    const { managedFields: _bulk, ...metadata } = object.metadata;
    const kept = this.#options.keep?.({ ...object, metadata }) ?? { ...object, metadata };
    if (isDeepStrictEqual(kept, known)) return;
    this.#objects.set(name, this.#shared(kept, known));
    if (tell) this.#options.onChange(kept);
  }

  #shared(object: KubernetesObject, known: KubernetesObject | undefined): KubernetesObject {
    const fleet = fleetOf(object);
    const shared = sharingWith(object, this.#latest.get(fleet) ?? this.#latest.get(""), known);
    this.#latest.set(fleet, shared).set("", shared);
    return shared;
  }

  #drop(object: KubernetesObject): void {
    this.#latest.delete(fleetOf(object));
    if (this.#objects.delete(object.metadata.name)) this.#options.onChange(object);
  }
}

function fleetOf({ metadata }: KubernetesObject): string {
  return metadata.labels?.["keyfleet.io/cluster"] ?? "";
}

/** etcd's revisions grow; Kubernetes declares them comparable as numbers (KEP-5504). Anything else counts as later. */
function isLater(version: string | undefined, than: string | undefined): boolean {
  const [a, b] = [Number(version), Number(than)];
  return !(Number.isSafeInteger(a) && Number.isSafeInteger(b)) || a > b;
}
