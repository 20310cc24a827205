import { BenchedNode, type StartOptions } from "./benched-node.ts";

/** A question to one node of this process, or with `start` to begin one. */
export interface Question {
  readonly id: number;
  readonly node: string;
  readonly command: string;
  readonly argument: unknown;
}

/** Its answer; `id` tells to which. */
export type Answer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly problem: string };

// A process of its own for one node or some: answers the benchmark's questions until that ends.
const nodes = new Map<string, BenchedNode>();

process.on("message", (question: Question) => {
  const { id } = question;
  answer(question).then(
    (result) => tell({ id, result }),
    (error: Error) => tell({ id, problem: error.stack ?? error.message }),
  );
});
process.on("disconnect", () => process.exit(1));

async function answer({ node, command, argument }: Question): Promise<unknown> {
  if (command === "cpuSeconds") return (process.cpuUsage().user + process.cpuUsage().system) / 1e6;
  if (command === "start") {
    nodes.set(node, await BenchedNode.start(argument as StartOptions));
    return undefined;
  }
  const benched = nodes.get(node);
  if (benched === undefined) throw new Error(`no node ${node} here`);
  return (benched as unknown as Record<string, (argument: unknown) => unknown>)[command]?.(argument);
}

function tell(answer: Answer): void {
  process.send?.(answer);
}
