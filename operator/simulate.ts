import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { parseArgs } from "node:util";
import { runMutants } from "./testing/mutants.ts";
import { foundedFleet, runSchedule, settingOf } from "./testing/schedule.ts";
import { themes } from "./testing/themes.ts";

const help = `Schedules of the operators' simulator: the real operators on virtual time, with crashes, cuts, lost sites and edits of
the document; checks every promise after each step, and that all comes to rest at the end.

  npm run simulate -- --seeds N [options]

  --seeds N      how many schedules (300)         --from N   the first one (1)
  --bail         ends with the first that fails
  --theme NAME   what they are about: ${Object.keys(themes).join(", ")}; of all kinds when not given
  --mutants      takes one gate out at a time; each must be noticed within that many schedules
  --only WORD    only mutants whose name has that in it

The same seed is the same schedule. Each 100 the standing is told on stderr; a signal ends the run after the schedule that
is being run, with the summary. Exit 1: one failed.
`;
const { values } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    seeds: { type: "string", default: "300" },
    from: { type: "string", default: "1" },
    bail: { type: "boolean", default: false },
    theme: { type: "string", default: "" },
    mutants: { type: "boolean", default: false },
    only: { type: "string", default: "" },
  },
});
const [count, from] = [Number(values.seeds), Number(values.from)];
const isTheme = values.theme === "" || themes[values.theme] !== undefined;
const isWrong = !Number.isInteger(count) || count < 1 || !Number.isInteger(from) || !isTheme;
if (values.help || isWrong) {
  process[isWrong ? "stderr" : "stdout"].write(help);
  process.exit(isWrong ? 2 : 0);
}

if (values.mutants) {
  const unnoticed = runMutants(join(import.meta.dirname, ".."), { seeds: count, only: values.only });
  console.log(unnoticed.length === 0 ? "every mutant was noticed" : `not noticed: ${unnoticed.join(", ")}`);
  process.exit(unnoticed.length === 0 ? 0 : 1);
}

const setting = settingOf(themes[values.theme]);
const founded = await foundedFleet(setting).catch((error: unknown) => {
  console.log(`seed 0: a fleet that comes up without faults: ${(error as Error).message}`);
  process.exit(1);
});
const happened = new Map<string, number>();
const did = new Map<string, number>();
const totals = { steps: 0, writes: 0, passed: 0 };
const failed: number[] = [];

let end = from + count;
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => (end = 0));

for (let seed = from; seed < end; seed++) {
  try {
    const result = await runSchedule(seed, { ...setting, founded });
    totals.passed += 1;
    totals.steps += result.steps;
    totals.writes += result.writes;
    for (const line of result.story) countWord(line.trim().split(/[ :]/));
    for (const [word, times] of result.did) did.set(word, (did.get(word) ?? 0) + times);
  } catch (error) {
    failed.push(seed);
    console.log(`seed ${seed}: ${(error as Error).message}\n`);
    if (values.bail) break;
  }
  if ((seed - from + 1) % 100 === 0) console.error(`to seed ${seed}: ${totals.passed} passed, ${failed.length} failed`);
  await setImmediate(); // lets a signal end the run after this schedule, with the summary of those that were run
}

const sorted = (words: ReadonlyMap<string, number>) =>
  [...words]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([word, times]) => `${word} ${times}`)
    .join(", ");
console.log(
  `schedules from ${from}, ${totals.passed + failed.length} of ${count}: ${totals.passed} passed, ${failed.length} failed ${failed.join(" ")}`,
);
console.log(`steps ${totals.steps}, operators' writes ${totals.writes}`);
console.log(`faults and edits: ${sorted(happened)}`);
console.log(`steps on the fleet: ${sorted(did)}`);
process.exit(failed.length === 0 ? 0 : 1);

/** "78425 cut dc2" is a fault, "inPlace: ..." an edit. */
function countWord([first = "", second = ""]: readonly string[]): void {
  const word = /^\d+$/.test(first) ? second : first;
  if (word !== "undefined" && word !== "edit" && word !== "all") happened.set(word, (happened.get(word) ?? 0) + 1);
}
