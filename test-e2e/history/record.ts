/** What a client asks for. */
export type Verb =
  | "create"
  | "get"
  | "state"
  | "writeNote"
  | "use"
  | "activate"
  | "deactivate"
  | "compromise"
  | "destroy";

/** KMIP states (9.1.3.2.18): the later in this order, the worse the news; bad news is never taken back. */
export const state = {
  preActive: 1,
  active: 2,
  deactivated: 3,
  compromised: 4,
  destroyed: 5,
  destroyedCompromised: 6,
} as const;

/** The client that reads everything once the fleet is whole again. */
export const finalReader = "final";

/**
 * How a call ended: `ok`; `refused`, the answer says that it cannot be (and nothing was done); `unknown`, no answer or one
 * that says that the node could not: a write may have been done or not.
 */
export type Outcome = "ok" | "refused" | "unknown";

/** One call of one client. Times are monotonic milliseconds of the recording process. */
export interface Call {
  readonly client: string;
  readonly node: string;
  readonly verb: Verb;
  readonly object: string;
  readonly sentMs: number;
  readonly answeredMs: number;
  readonly outcome: Outcome;
  /** Note that was written or read. */
  readonly note?: string;
  /** Units of its Usage Limits, where a key was made with such. */
  readonly units?: number;
  /** KMIP state that was read. */
  readonly state?: number;
  /** Digest of the key bytes that were read. */
  readonly key?: string;
  /** What the node or the connection said when it was not `ok`; "notFound" when there is no such object. */
  readonly problem?: string;
}

/** Something that was done to the fleet. */
export interface Deed {
  readonly atMs: number;
  readonly what: string;
  readonly nodes: readonly string[];
}

/** A time in which the recording process was not run: nobody on this machine may have been. */
export interface Stall {
  readonly fromMs: number;
  readonly toMs: number;
}

/** A node's view of another site's durability changed; on its start all sites are presumed in step. */
export interface Step {
  readonly atMs: number;
  readonly node: string;
  /** Absent: the key server started. */
  readonly site?: string;
  readonly inStep: boolean;
}

/** All that was recorded. */
export interface History {
  readonly calls: readonly Call[];
  readonly deeds: readonly Deed[];
  readonly steps: readonly Step[];
  /** Nodes whose disk was destroyed or exchanged for an older one, and when that was last. */
  readonly lost: ReadonlyMap<string, number>;
  /** When nodes were started with another disk than they had: what they show from then on is another node's. */
  readonly lives: readonly { readonly node: string; readonly atMs: number }[];
  /** What each node warned of, its last lines with their times. */
  readonly warnings: ReadonlyMap<string, readonly string[]>;
}

/** The life of a node's disk that a call fell into: before a disk was exchanged, or after. */
export function lifeOf({ node, answeredMs }: Call, lives: History["lives"]): string {
  return `${node} ${lives.filter((each) => each.node === node && each.atMs < answeredMs).length}`;
}

/** How often a fault was tried, and how often it was seen to do harm. */
export interface FaultCount {
  readonly done: number;
  readonly acted: number;
}

const stallMs = 1_000;
const warningsMax = 20;

/** Records while a run goes on. */
export class Recorder implements History {
  readonly calls: Call[] = [];
  readonly deeds: Deed[] = [];
  readonly steps: Step[] = [];
  readonly stalls: Stall[] = [];
  readonly lost = new Map<string, number>();
  readonly lives: { node: string; atMs: number }[] = [];
  readonly warnings = new Map<string, string[]>();
  /** Nodes that are gone for good. */
  readonly destroyed = new Set<string>();

  readonly faults = new Map<string, FaultCount>();

  /** A fault is over. */
  did(kind: string, acted: boolean): void {
    const before = this.faults.get(kind) ?? { done: 0, acted: 0 };
    this.faults.set(kind, { done: before.done + 1, acted: before.acted + (acted ? 1 : 0) });
  }

  deed(what: string, ...nodes: string[]): void {
    this.deeds.push({ atMs: performance.now(), what, nodes });
  }

  /** The disk of the node is not any more what it was. */
  lose(node: string): void {
    const atMs = performance.now();
    this.lost.set(node, atMs);
    this.lives.push({ node, atMs });
  }

  /** Notes when this process is not run for longer than a second; answers with what ends that. */
  watchStalls(): () => void {
    let beforeMs = performance.now();
    const watch = setInterval(() => {
      const nowMs = performance.now();
      if (nowMs - beforeMs > stallMs) this.stalls.push({ fromMs: beforeMs, toMs: nowMs });
      beforeMs = nowMs;
    }, stallMs / 10);
    return () => clearInterval(watch);
  }

  /** Takes a line of a node's output; only what concerns durability is kept, and the last warnings. */
  heard(node: string, line: string): void {
    const atMs = performance.now();
    if (line.startsWith("[keyServer] started")) this.steps.push({ atMs, node, inStep: true });
    else if (line.includes('"durability"')) this.#stepped(node, line, atMs);
    else if (/"level":"(warn|error)"/.test(line)) this.#warned(node, line, atMs);
  }

  #stepped(node: string, line: string, atMs: number): void {
    const found = /"site":"([^"]+)"/.exec(line)?.[1];
    const inStep = line.includes('"inStep":true');
    if (found !== undefined) this.steps.push({ atMs, node, site: found, inStep });
  }

  #warned(node: string, line: string, atMs: number): void {
    const text = `${atMs.toFixed(0).padStart(8)} ${line}`;
    this.warnings.set(node, [...(this.warnings.get(node) ?? []), text].slice(-warningsMax));
  }
}
