import { type Kind, kinds } from "../ports/kinds.ts";
import { ApiError, apiErrorOf, type Preconditions } from "../ports/kubernetes-api.ts";
import type { Call, Transport } from "../ports/transport.ts";
import type { Clock, KubernetesObject } from "../ports/types.ts";
import { answer, type Fault, follow } from "./api-faults.ts";
import type { FakeCluster } from "./fake-cluster.ts";

/** What an API server is asked. */
export interface Asked {
  /** Site of the operator that asks, and the one that is asked. */
  readonly from: string;
  readonly to: string;
  readonly verb: "probe" | "list" | "watch" | "get" | "create" | "update" | "apply" | "delete";
  readonly kind: Kind;
  readonly name: string | undefined;
}

export interface FakeTransportOptions {
  readonly from: string;
  readonly to: string;
  readonly server: FakeCluster;
  /** What goes wrong with a call; nothing when undefined. */
  readonly faultOf: (asked: Asked) => Fault | undefined;
  readonly onAsked: (asked: Asked) => void;
  readonly random: () => number;
  readonly clock: Clock;
}

/** As kube-apiserver sends them. */
const bookmarkEveryMs = 60_000;

/** A stream that is open. */
interface Open {
  readonly asked: Asked;
  readonly end: (error?: ApiError) => void;
  stalled: boolean;
}

/**
 * What carries the calls of one operator to one FakeCluster on virtual time, with the deadlines of the real one: below
 * ports/connect.ts, so that what it makes of odd answers is under test too.
 */
export class FakeTransport implements Transport {
  readonly #options: FakeTransportOptions;
  readonly #waiting = new Set<(error: ApiError) => void>();
  readonly #streams = new Set<Open>();

  constructor(options: FakeTransportOptions) {
    this.#options = options;
  }

  /** Calls and streams that have not ended. */
  get open(): number {
    return this.#waiting.size + this.#streams.size;
  }

  async call(call: Call): Promise<unknown> {
    const asked = this.#ask(call);
    call.checkBeforeSending?.();
    const fault = this.#options.faultOf(asked);
    const perform = () => performed(this.#options.server, asked, call);
    if (fault === undefined) return await perform();
    return await answer(fault, { perform, wait: (ms) => this.#wait(call, ms), random: this.#options.random });
  }

  async stream(call: Call, onLine: (line: string) => void): Promise<void> {
    const asked = this.#ask(call);
    const fault = this.#options.faultOf(asked);
    const open = (stalled = false) => this.#follow(call, asked, { onLine, stalled });
    if (fault === undefined) return await open();
    const { random } = this.#options;
    await follow(fault, { open, onLine: (line) => taken(onLine, line), wait: (ms) => this.#wait(call, ms), random });
  }

  reconnect(): void {
    this.breakStreams(() => true, "ECONNRESET");
    for (const end of [...this.#waiting]) end(new ApiError("unreachable", "ECONNRESET"));
  }

  /** The connections of some streams are lost. */
  breakStreams(which: (asked: Asked) => boolean, why = "aborted"): void {
    for (const { asked, end } of [...this.#streams]) if (which(asked)) end(new ApiError("unreachable", why));
  }

  /** Nothing comes by some streams any more, and nobody says so. */
  stallStreams(which: (asked: Asked) => boolean): void {
    for (const stream of this.#streams) if (which(stream.asked)) stream.stalled = true;
  }

  #ask(call: Call): Asked {
    const { from, to, onAsked } = this.#options;
    const asked = { from, to, ...whatIsAsked(call) };
    onAsked(asked);
    return asked;
  }

  /** Until the server ends it after its time; a stalled one until the deadline. */
  #follow(call: Call, asked: Asked, given: { onLine: (line: string) => void; stalled: boolean }): Promise<void> {
    const { clock, server } = this.#options;
    const { deadlineMs, query: { resourceVersion = "", labelSelector, timeoutSeconds } = {} } = call;
    const stop = new AbortController();
    const { promise, end } = endable(call.signal, () => {
      this.#streams.delete(stream);
      for (const cancel of [cancelEnd, cancelDeadline, cancelBookmark]) cancel();
      stop.abort();
    });
    const stream: Open = { asked, end, stalled: given.stalled };
    this.#streams.add(stream);
    const onEvent = (event: object) => {
      if (!stream.stalled) taken(given.onLine, JSON.stringify(event));
    };
    const bookmark = () => {
      cancelBookmark = clock.after(bookmarkEveryMs, bookmark);
      onEvent({ type: "BOOKMARK", object: { kind: asked.kind, metadata: { resourceVersion: server.version } } });
    };
    let cancelBookmark = clock.after(bookmarkEveryMs, bookmark);
    const cancelEnd = clock.after(Number(timeoutSeconds) * 1000, () => void (stream.stalled || end()));
    const cancelDeadline = clock.after(deadlineMs, () => end(silence(deadlineMs)));
    const selector = labelSelector === undefined ? {} : { labelSelector };
    const query = { ...selector, resourceVersion, signal: stop.signal, onEvent, onOpen: () => call.onBegin?.() };
    void server.watch(asked.kind, query).then(() => end(), end);
    return promise;
  }

  /** Fails when the answer had to begin, when nobody wants it any more and when all connections are dropped. */
  #wait({ signal, deadlineMs, beginsWithinMs = deadlineMs }: Call, ms: number): Promise<void> {
    const { promise, end } = endable(signal, () => {
      this.#waiting.delete(end);
      cancel();
    });
    const ended = ms >= beginsWithinMs ? silence(beginsWithinMs) : undefined;
    const cancel = this.#options.clock.after(Math.min(ms, beginsWithinMs), () => end(ended));
    this.#waiting.add(end);
    return promise;
  }
}

function silence(ms: number): ApiError {
  return new ApiError("unreachable", `no answer within ${ms} ms`);
}

/** What ends once, by its end or because nobody wants it any more. */
function endable(signal: AbortSignal | undefined, onEnd: () => void) {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const end = (error?: ApiError) => {
    signal?.removeEventListener("abort", aborted);
    onEnd();
    if (error === undefined) resolve();
    else reject(error);
  };
  const aborted = () => end(new ApiError("unreachable", "aborted"));
  signal?.addEventListener("abort", aborted);
  return { promise, end };
}

const byPlural = new Map(Object.keys(kinds).map((kind) => [kinds[kind as Kind].plural as string, kind as Kind]));
const verbs = { POST: "create", PUT: "update", PATCH: "apply", DELETE: "delete" } as const;

function whatIsAsked({ method, path, query = {} }: Call): Pick<Asked, "verb" | "kind" | "name"> {
  const [plural = "", name] = path.split("/namespaces/")[1]?.split("/").slice(1) ?? [];
  const kind = byPlural.get(plural) as Kind;
  if (method !== "GET") return { verb: verbs[method], kind, name };
  if (name !== undefined) return { verb: "get", kind, name };
  if (query.watch !== undefined) return { verb: "watch", kind, name };
  return { verb: query.limit === "1" ? "probe" : "list", kind, name };
}

/** What the server answers, as JSON has it. */
function performed(server: FakeCluster, asked: Asked, call: Call): Promise<unknown> {
  return performers[asked.verb](server, asked, call);
}

const performers: Readonly<Record<Asked["verb"], (server: FakeCluster, asked: Asked, call: Call) => Promise<unknown>>> =
  {
    async probe(server) {
      return { kind: "PartialObjectMetadataList", metadata: { resourceVersion: await server.probe() } };
    },
    async list(server, { kind }, { query: { labelSelector } = {} }) {
      const { items, resourceVersion } = await server.list(kind, labelSelector === undefined ? {} : { labelSelector });
      // A real one leaves these out.
      const bare = items.map(({ apiVersion: _version, kind: _kind, ...item }) => item);
      return { apiVersion: kinds[kind].apiVersion, kind: `${kind}List`, metadata: { resourceVersion }, items: bare };
    },
    async get(server, { kind, name = "" }, { accept = "" }) {
      const isMetadata = accept.includes("PartialObjectMetadata");
      const found = isMetadata ? await server.getMetadata(kind, name) : await server.get(kind, name);
      if (found !== undefined) return found;
      throw apiErrorOf(404, { reason: "NotFound", message: `${kinds[kind].plural} "${name}" not found` });
    },
    create: (server, _, { body }) => server.create(body as KubernetesObject),
    update: (server, _, { body }) => server.update(body as KubernetesObject),
    apply(server, _, { body, path, query: { fieldManager = "" } = {} }) {
      const status = path.endsWith("/status") ? ({ subresource: "status" } as const) : {};
      return server.apply(body as KubernetesObject, { fieldManager, ...status });
    },
    delete: (server, { kind, name = "" }, { body }) =>
      server.delete(kind, name, (body as { preconditions: Preconditions }).preconditions),
    watch: () => Promise.reject(new TypeError("a watch is a stream")),
  };

/** As the real one, which takes what breaks while a line is read for a lost connection. */
function taken(onLine: (line: string) => void, line: string): void {
  try {
    onLine(line);
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError("unreachable", (error as Error).message, { cause: error });
  }
}
