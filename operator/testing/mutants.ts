import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Change, type Mutant, mutants } from "./mutant-list.ts";

/** Mutants whose text is not found exactly once: the code has changed, and they would change nothing. */
export function misfits(root: string): readonly string[] {
  return mutants
    .filter((mutant) => changesOf(mutant).some((change) => occurrences(root, change) !== 1))
    .map(({ what }) => what);
}

function changesOf(mutant: Mutant): readonly Change[] {
  return mutant.and === undefined ? [mutant] : [mutant, mutant.and];
}

function occurrences(root: string, { file, find }: Change): number {
  return readFileSync(join(root, "operator", file), "utf8").split(find).length - 1;
}

/** Runs the simulator on each mutant; answers with those that nothing noticed. */
export function runMutants(
  root: string,
  { seeds, only }: { readonly seeds: number; readonly only: string },
): readonly string[] {
  const stale = misfits(root);
  if (stale.length > 0) throw new Error(`correct these mutants, the code has changed: ${stale.join(", ")}`);
  const unnoticed: string[] = [];
  for (const mutant of mutants.filter(({ what }) => what.includes(only))) {
    const noticed = runMutant(root, mutant, seeds);
    console.log(
      `${noticed === undefined ? "NOT NOTICED" : "noticed"}: without "${mutant.what}"${noticed === undefined ? "" : `: ${noticed}`}`,
    );
    if (noticed === undefined) unnoticed.push(mutant.what);
  }
  return unnoticed;
}

/** Those that are noticed soon. */
export function soonNoticed(): readonly Mutant[] {
  return mutants.filter(({ soon }) => soon);
}

/** The first line of what was found; undefined when all schedules passed. */
export function runMutant(root: string, mutant: Mutant, seeds: number): string | undefined {
  const copy = mkdtempSync(join(tmpdir(), "keyfleet-mutant-"));
  try {
    for (const part of ["operator", "crds", "package.json"])
      cpSync(join(root, part), join(copy, part), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
    for (const change of changesOf(mutant)) apply(change, copy);
    return mutant.test === undefined ? bySchedules(mutant, copy, seeds) : byTest(join(copy, "operator", mutant.test));
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function bySchedules({ theme = "", from = 1 }: Mutant, copy: string, seeds: number): string | undefined {
  const range = ["--seeds", String(seeds), "--from", String(from), "--bail", "--theme", theme];
  return firstLine(/^seed \d+: .*$/m, [join(copy, "operator/simulate.ts"), ...range]);
}

function byTest(path: string): string | undefined {
  return firstLine(/^✖ .*$/m, ["--test", "--test-reporter=spec", path]);
}

/** What the program printed of what it found; undefined when it ended well. */
function firstLine(wanted: RegExp, words: readonly string[]): string | undefined {
  // Else a runner that runs this would take the tests of the copy for its own.
  const { NODE_TEST_CONTEXT: _none, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: "utf8", env });
  if (status === 0) return undefined;
  const found = wanted.exec(stdout)?.[0];
  if (found === undefined) throw new Error(`the mutant does not run: ${stderr.slice(0, 1000)}${stdout.slice(0, 1000)}`);
  return found.slice(0, 160);
}

function apply({ file, find, replace }: Change, root: string): void {
  const path = join(root, "operator", file);
  const text = readFileSync(path, "utf8");
  writeFileSync(
    path,
    text.replace(find, () => replace),
  );
}
