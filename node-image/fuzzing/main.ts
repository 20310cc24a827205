import { parseArgs } from "node:util";
import { runFuzzer, summaryText } from "./runner.ts";
import { targets } from "./targets.ts";

const help = `usage: npm run fuzz -- [OPTION...]
Tries mutated inputs on the decoders and on whole sessions, guided by what code they reach. Ends with 1 when it found something.
  --inputs 100000     in all: most on the decoders, which are fast, fewer on whole sessions
  --seed 1            the same seed and code give the same inputs; default from the clock
  --target NAME       one of ${Object.keys(targets).join(", ")}; default all
  --oasis FOLDER      requests of these OASIS test cases (XML) are seeds too
`;

const { values } = parseArgs({
  options: {
    inputs: { type: "string", default: "100000" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    target: { type: "string" },
    oasis: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
const [inputs, seed] = [Number(values.inputs), Number(values.seed)];
const names = values.target === undefined ? Object.keys(targets) : [values.target];
const valid = Number.isSafeInteger(inputs) && inputs > 0 && inputs <= 1e9 && Number.isSafeInteger(seed);
if (values.help || !valid || names.some((name) => !Object.hasOwn(targets, name))) {
  process.stdout.write(help);
  process.exit(values.help ? 0 : 2);
}
let findings = 0;
const sum = names.reduce((shares, name) => shares + (targets[name]?.share ?? 0), 0);
for (const target of names) {
  const report = await runFuzzer({
    target,
    inputs: Math.ceil((inputs * (targets[target]?.share ?? 0)) / sum),
    seed,
    ...(values.oasis === undefined ? {} : { seedFolder: values.oasis }),
  });
  console.log(summaryText(report));
  findings += report.findings.length;
}
process.exit(findings === 0 ? 0 : 1);
