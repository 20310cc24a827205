import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { BenchedNode, StartOptions } from "./benched-node.ts";
import type { Answer } from "./node-host.ts";

type Method<Name extends keyof BenchedNode> = BenchedNode[Name] extends (...values: never) => unknown
  ? BenchedNode[Name]
  : never;

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

/** A process that key servers' stores run in, one or several. */
export class NodeHost {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;

  constructor() {
    this.#child = fork(join(import.meta.dirname, "node-host.ts"), { serialization: "advanced" });
    this.#child.on("message", (answer: Answer) => this.#answered(answer));
    this.#child.on("exit", (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`a process of the nodes ended with ${code}`));
    });
  }

  ask<Result>(node: string, command: string, argument?: unknown): Promise<Result> {
    this.#last += 1;
    const id = this.#last;
    return new Promise<Result>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: never) => void, reject });
      this.#child.send({ id, node, command, argument });
    });
  }

  /** Seconds of a core that this process has used so far. */
  cpuSeconds(): Promise<number> {
    return this.ask("", "cpuSeconds");
  }

  /** The databases end with it, since each waits for the process that has started it. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }

  #answered(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ("problem" in answer) waiting?.reject(new Error(answer.problem));
    else waiting?.resolve(answer.result as never);
  }
}

/** A node in a process of its own or shared with others. */
export class RemoteNode {
  readonly name: string;
  readonly host: NodeHost;

  private constructor(name: string, host: NodeHost) {
    this.name = name;
    this.host = host;
  }

  static async start(host: NodeHost, options: StartOptions): Promise<RemoteNode> {
    await host.ask(options.name, "start", options);
    return new RemoteNode(options.name, host);
  }

  /** Calls a method of the node over there. */
  ask<Name extends keyof BenchedNode>(
    command: Name,
    ...argument: Parameters<Method<Name>>
  ): Promise<Awaited<ReturnType<Method<Name>>>> {
    return this.host.ask(this.name, command, argument[0]);
  }
}
