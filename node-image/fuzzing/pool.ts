import { fork } from "node:child_process";
import { type Report, type RunOptions, summaryText } from "./runner.ts";

/** What became of one target: its report, or how its process ended without one, which is a finding too. */
export type Outcome = { readonly target: string } & ({ readonly report: Report } | { readonly problem: string });

/** Module that a target's process runs; it is given the options as JSON and sends an Outcome. */
const entry = new URL("target-process.ts", import.meta.url);

/**
 * Runs targets in processes of their own, a few at a time, and tells each as it ends: in a process of its own a target's
 * processor time and memory are its own, so that a hang is told from a busy neighbour. Resolves with all outcomes.
 */
export async function runPool(
  runs: readonly RunOptions[],
  atOnce: number,
  told: (outcome: Outcome) => void,
  module: URL = entry,
): Promise<readonly Outcome[]> {
  const left = [...runs];
  const outcomes: Outcome[] = [];
  const work = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const outcome = await runProcess(next, module);
      outcomes.push(outcome);
      told(outcome);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, atOnce) }, work));
  return outcomes;
}

function runProcess(options: RunOptions, module: URL): Promise<Outcome> {
  const { target } = options;
  const child = fork(module, [JSON.stringify(options)], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  let outcome: Outcome | undefined;
  child.once("message", (message) => {
    outcome = message as unknown as Outcome;
  });
  child.once("error", (error) => resolve({ target, problem: error.message }));
  child.once("exit", (code, signal) =>
    resolve(outcome ?? { target, problem: `its process ended with ${signal ?? code} and no report` }),
  );
  return promise;
}

/** The outcome for people. */
export function outcomeText(outcome: Outcome): string {
  return "report" in outcome ? summaryText(outcome.report) : `${outcome.target}: 1 finding\n\n${outcome.problem}`;
}

/** All of a run in one line. */
export function sumOf(
  outcomes: readonly Outcome[],
  seconds: number,
): { readonly text: string; readonly findings: number } {
  const inputs = outcomes.reduce((sum, each) => sum + ("report" in each ? each.report.inputs : 0), 0);
  const findings = outcomes.reduce((sum, each) => sum + ("report" in each ? each.report.findings.length : 1), 0);
  return { text: `${inputs.toLocaleString("en")} inputs in ${seconds.toFixed(0)} s, ${findings} findings`, findings };
}
