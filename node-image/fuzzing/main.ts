import { mkdtempSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { keepSlowest, readKept } from "./kept-input.ts";
import { type Outcome, outcomeText, runPool, sumOf } from "./pool.ts";
import { targets } from "./targets.ts";

const help = `usage: npm run fuzz -- [OPTION...]
Tries mutated inputs on the decoders and on whole sessions, guided by what code they reach: two targets at once where there are
two cores. Ends with 1 when it found something.
  --inputs 100000     in all: most on the decoders, which are fast, fewer on whole sessions
  --seed 1            the same seed and code give the same inputs; default from the clock
  --target NAME       one of ${Object.keys(targets).join(", ")}; default all
  --oasis FOLDER      requests of these OASIS test cases (XML) are seeds too
  --keep FOLDER       where each target's slowest input is kept, in hexadecimal digits; default a new one for temporary files
  --again FILE        runs the input in such a file, and nothing else: with --target
`;
/** Times that an input is run with --again: the first compiles, the others tell how long it takes. */
const againTimes = 10;

const { values } = parseArgs({
  options: {
    inputs: { type: "string", default: "100000" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    target: { type: "string" },
    oasis: { type: "string" },
    keep: { type: "string" },
    again: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
const [inputs, seed] = [Number(values.inputs), Number(values.seed)];
const names = values.target === undefined ? Object.keys(targets) : [values.target];
const valid = Number.isSafeInteger(inputs) && inputs > 0 && inputs <= 1e9 && Number.isSafeInteger(seed);
const alone = values.again === undefined || values.target !== undefined;
if (values.help || !valid || !alone || names.some((name) => !Object.hasOwn(targets, name))) {
  process.stdout.write(help);
  process.exit(values.help ? 0 : 2);
}
const began = performance.now();
const sum = names.reduce((shares, name) => shares + (targets[name]?.share ?? 0), 0);
const runs = names
  // Those of few inputs are the slow ones: begun first, they end with the others.
  .toSorted((one, other) => (targets[one]?.share ?? 0) - (targets[other]?.share ?? 0))
  .map((target) => ({
    target,
    inputs: Math.ceil((inputs * (targets[target]?.share ?? 0)) / sum),
    seed,
    ...(values.oasis === undefined ? {} : { seedFolder: values.oasis }),
    ...(values.again === undefined ? {} : { only: readKept(values.again), inputs: againTimes }),
  }));
let folder = values.keep;
const tell = (outcome: Outcome) => {
  console.log(outcomeText(outcome));
  if (!("report" in outcome) || values.again !== undefined) return;
  folder ??= mkdtempSync(join(tmpdir(), "keyfleet-fuzz-"));
  console.log(`  kept for --again: ${keepSlowest(outcome.report, folder)}`);
};
const outcomes = await runPool(runs, Math.min(2, availableParallelism()), tell);
const { text, findings } = sumOf(outcomes, (performance.now() - began) / 1000);
console.log(text);
process.exit(findings === 0 ? 0 : 1);
