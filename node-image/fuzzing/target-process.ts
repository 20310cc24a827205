import type { Outcome } from "./pool.ts";
import { type RunOptions, runFuzzer } from "./runner.ts";

/** One target in a process of its own; its starter is sent the outcome, and is not outlived. */
process.once("disconnect", () => process.exit(1));
const options = JSON.parse(process.argv[2] ?? "{}") as RunOptions;
const { target } = options;
const progress = (line: string) => console.error(line);
let outcome: Outcome;
try {
  outcome = { target, report: await runFuzzer({ ...options, progress }) };
} catch (error) {
  outcome = { target, problem: (error as Error).message };
}
process.send?.(outcome, () => process.exit(0));
