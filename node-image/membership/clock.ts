import type { KmsNode } from "@keyfleet/crds/kms-node.ts";
import type { Log } from "../config/source.ts";
import { readTime } from "../time/read-time.ts";
import { writeTimeConfiguration } from "../time/time-configuration.ts";
import type { TimeFacts } from "./facts.ts";

/** How often chrony is asked; more often until it has answered for the first time. */
const askEveryMs = { first: 1_000, later: 15_000 } as const;
/** So long a new list of servers may take to be measured before it counts as unreachable. */
const startGraceMs = 12_000;

/** Tells chrony this node's servers and reads how far its clock is from theirs. */
export class Clock {
  readonly #options: { readonly runFolder: string; readonly log: Log; readonly nowMs: () => number };
  #configured: readonly string[] | undefined;
  #configuredAtMs = 0;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #asking = false;
  #facts: TimeFacts = { servers: undefined };
  #problem: string | undefined;
  /** Whether chrony is to be told once more although the servers are the same. */
  #again = false;

  constructor(options: { readonly runFolder: string; readonly log: Log; readonly nowMs: () => number }) {
    this.#options = options;
  }

  /** Why chrony could not be told its servers, beginning with the field; undefined when it could. */
  get problem(): string | undefined {
    return this.#problem;
  }

  get facts(): TimeFacts {
    return this.#facts;
  }

  /** Asks when it is time to; resolves true when the answer differs from the one before. */
  async look(node: KmsNode | undefined): Promise<boolean> {
    const nowMs = this.#options.nowMs();
    if (node === undefined || this.#asking) return false;
    const servers = node.spec.settings.ntp?.servers ?? [];
    this.#configure(servers, nowMs);
    const known = this.#facts.servers?.some((server) => server.reachable) === true;
    if (nowMs - this.#askedAtMs < (known ? askEveryMs.later : askEveryMs.first)) return false;
    return this.#ask(servers, nowMs);
  }

  async #ask(servers: readonly string[], nowMs: number): Promise<boolean> {
    this.#asking = true;
    this.#askedAtMs = nowMs;
    try {
      const reading = await readTime(this.#options.runFolder, servers);
      const starting = !reading.synchronised && servers.length > 0 && nowMs - this.#configuredAtMs < startGraceMs;
      const next: TimeFacts = { servers: starting ? undefined : reading.servers };
      const changed = JSON.stringify(next) !== JSON.stringify(this.#facts);
      this.#facts = next;
      return changed;
    } finally {
      this.#asking = false;
    }
  }

  #configure(servers: readonly string[], nowMs: number): void {
    if (this.#configured?.join() === servers.join() && !this.#again) return;
    try {
      writeTimeConfiguration(this.#options.runFolder, servers);
      this.#problem = undefined;
      this.#again = false;
      this.#configuredAtMs = nowMs;
      this.#askedAtMs = Number.NEGATIVE_INFINITY;
    } catch (error) {
      this.#failed(error as Error);
    }
    this.#configured = servers;
  }

  /** An address that is none stays so until the settings change; a folder without room may have some at the next look. */
  #failed(error: Error): void {
    const problem = `ntp.servers: ${error.message}`;
    this.#again = !(error instanceof TypeError);
    if (problem !== this.#problem)
      this.#options.log("error", "cannot tell chrony its servers", { problem: error.message });
    this.#problem = problem;
  }
}
