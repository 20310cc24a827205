import { setTimeout as pause } from "node:timers/promises";
import type { Fleet } from "./fleet.ts";
import type { KmipClient } from "./kmip-client.ts";

const deadlineMs = 120_000;

/** Clients that create keys on several nodes without pause, connect again after every failure, and remember what was acknowledged. */
export class Writers {
  readonly #acknowledged = new Map<string, string[]>();
  readonly #fleet: Fleet;
  readonly #loops: Promise<void>[];
  #stopping = false;

  private constructor(fleet: Fleet, nodes: readonly string[]) {
    this.#fleet = fleet;
    for (const node of nodes) this.#acknowledged.set(node, []);
    this.#loops = nodes.map((node) => this.#write(node));
  }

  static async start(fleet: Fleet, nodes: readonly string[]): Promise<Writers> {
    return new Writers(fleet, nodes);
  }

  /** Resolves when so many more keys were acknowledged by the node, or by each. */
  async wrote(count: number, node?: string): Promise<void> {
    const asked = [...this.#acknowledged]
      .filter(([name]) => (node ?? name) === name)
      .map(([name, ids]) => [name, ids, ids.length + count] as const);
    const end = performance.now() + deadlineMs;
    while (asked.some(([, ids, wanted]) => ids.length < wanted)) {
      if (performance.now() > end) {
        const states = asked.map(
          ([name, ids, wanted]) =>
            `${name} ${ids.length}/${wanted}: ${JSON.stringify(this.#fleet.node(name).status?.conditions)}`,
        );
        throw new Error(`writes are not acknowledged: ${states.join("; ")}`);
      }
      await pause(20);
    }
  }

  /** Ends the clients; what was acknowledged by any node. */
  async stop(): Promise<string[]> {
    this.#stopping = true;
    await Promise.all(this.#loops);
    return [...this.#acknowledged.values()].flat();
  }

  async #write(node: string): Promise<void> {
    let client: KmipClient | undefined;
    while (!this.#stopping) {
      try {
        client ??= await this.#fleet.connect(node);
        this.#acknowledged.get(node)?.push(await client.create());
      } catch {
        client?.close();
        client = undefined;
        await pause(100);
      }
    }
    client?.close();
  }
}
