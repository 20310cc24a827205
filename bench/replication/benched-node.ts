import { readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { masterKey } from "../../node-image/keys/master-key.ts";
import { keyringOf } from "../../node-image/keys/master-keyring.ts";
import type { Durability, MeshMember, MeshTls, Replication } from "../../node-image/replication/types.ts";
import { aCreate, type MeshNode, startMeshNode } from "../../node-image/testing/mesh.ts";

const ticksPerSecond = 100;
const fillBatch = 500;
/** Writes of a fill that are under way at once. */
const fillWriters = 4;

/** What a node is started with. */
export interface StartOptions {
  readonly name: string;
  readonly site: string;
  readonly tls: MeshTls;
  /** 32 bytes, the same for all. */
  readonly masterKey: Uint8Array;
}

/** Writers without pause, or with one after each write. */
export interface LoadOptions {
  readonly writers: number;
  readonly pauseMs?: number;
}

/** What a load came to; milliseconds of each write from its call to its answer. */
export interface LoadResult {
  readonly times: readonly number[];
  /** The longest time that the key server's one thread did something else meanwhile, by a timer of 1 ms. */
  readonly longestTurnMs: number;
}

/** One node under measurement with what a benchmark asks of it; arguments and results go from process to process. */
export class BenchedNode {
  readonly #node: MeshNode;
  #exchange: Replication | undefined;
  #databaseEnded = false;
  #load: { stop: boolean; readonly times: number[]; readonly ended: Promise<unknown> } | undefined;
  readonly #turns = monitorEventLoopDelay({ resolution: 1 });

  private constructor(node: MeshNode) {
    this.#node = node;
  }

  static async start({ name, site, tls, masterKey: bytes }: StartOptions): Promise<BenchedNode> {
    const keyring = keyringOf([masterKey(1, Buffer.from(bytes))], []);
    return new BenchedNode(await startMeshNode({ name, site, tls, keyring, options: { onDisk: true } }));
  }

  member(): MeshMember {
    return this.#node.member;
  }

  async join(options: { readonly members: readonly MeshMember[]; readonly durability: Durability }): Promise<void> {
    this.#exchange = await this.#node.join(options.members, { durability: options.durability });
  }

  setDurability(durability: Durability): void {
    this.#exchange?.updateDurability(durability);
  }

  /** Connected with all, and heard by all. */
  connected(): boolean {
    const peers = this.#exchange?.status().peers ?? [];
    return peers.every(({ connected, acknowledged }) => connected && acknowledged !== undefined);
  }

  /** What a node does soon after its start is over: it has looked through its database. */
  settled(): boolean {
    return this.#node.store.status().auditedMs !== undefined;
  }

  caughtUp(): boolean {
    return this.#exchange?.caughtUp() === true;
  }

  /** How far it holds each log. */
  vector(): readonly (readonly [string, number])[] {
    return [...this.#node.store.vector()].sort(([one], [other]) => (one < other ? -1 : 1));
  }

  /** Resolves when this node holds the log so far: milliseconds of the machine's own clock. */
  async holds({ origin, seq }: { readonly origin: string; readonly seq: number }): Promise<number> {
    while ((this.#node.store.vector().get(origin) ?? 0) < seq) await pause(0.5);
    return machineMs();
  }

  /** One write: when it was sent and answered, on the machine's own clock. */
  async write(): Promise<{ readonly sentMs: number; readonly answeredMs: number }> {
    const sentMs = machineMs();
    await this.#node.store.write([aCreate()]);
    return { sentMs, answeredMs: machineMs() };
  }

  startLoad({ writers, pauseMs = 0 }: LoadOptions): void {
    const load = { stop: false, times: [] as number[], ended: Promise.resolve() as Promise<unknown> };
    const writer = async () => {
      while (!load.stop) {
        const { sentMs, answeredMs } = await this.write();
        load.times.push(answeredMs - sentMs);
        if (pauseMs > 0) await pause(pauseMs);
      }
    };
    load.ended = Promise.all(Array.from({ length: writers }, writer));
    // A write that fails is told by stopLoad; until then the process lives, so that its databases end in order.
    load.ended.catch(() => undefined);
    this.#load = load;
    this.#turns.reset();
    this.#turns.enable();
  }

  async stopLoad(): Promise<LoadResult> {
    const load = this.#load;
    if (load === undefined) return { times: [], longestTurnMs: 0 };
    load.stop = true;
    await load.ended;
    this.#turns.disable();
    return { times: load.times, longestTurnMs: this.#turns.max / 1e6 };
  }

  /** Writes until this node's log has so many operations. */
  async fill(objects: number): Promise<void> {
    const { store } = this.#node;
    const some = () => store.write(Array.from({ length: fillBatch }, () => aCreate()));
    while (store.status().head < objects) await Promise.all(Array.from({ length: fillWriters }, some));
  }

  killDatabase(): Promise<void> {
    this.#databaseEnded = true;
    return this.#node.postgres.kill();
  }

  async startDatabase(): Promise<void> {
    await this.#node.postgres.start();
    this.#databaseEnded = false;
  }

  /** Seconds of a core that its PostgreSQL has used so far; of one that was killed, since it was started again. */
  postgresCpuSeconds(): number {
    return this.#databaseEnded ? 0 : this.#node.postgres.pids().reduce((sum, pid) => sum + cpuOf(pid), 0);
  }

  stop(): Promise<void> {
    return this.#node.stop();
  }
}

/** Milliseconds of a clock that is the same in all processes of the machine. */
function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Seconds that a process has run, with those of its children that have ended. */
function cpuOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ");
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / ticksPerSecond;
  } catch {
    return 0; // It has ended; its parent counts it.
  }
}
