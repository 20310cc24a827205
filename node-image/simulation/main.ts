/** Many schedules of the replication protocol on simulated time: see the help text. */
import { parseArgs } from "node:util";
import { type Simulated, simulate } from "./simulate.ts";

const help = `Runs the real replication code on simulated time, disks and links: writes, crashes, cuts, lost notifications,
pauses, wrong clocks, disks that are set back, pruned logs and snapshots, nodes that join, leave, die and come back, sites
that are destroyed; and checks every promise.

  npm run simulate-replication -- [--seed S] [--seeds N] [--until-broken] [--verbose]

The same seed is the same schedule, so a failing seed is a test case; --verbose tells what was done. Exit 1: broken.
`;
const { values } = parseArgs({
  options: {
    help: { type: "boolean" },
    verbose: { type: "boolean" },
    "until-broken": { type: "boolean" },
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "1000" },
  },
});
if (values.help) process.stdout.write(help);
else process.exitCode = await run(Number(values.seed), Number(values.seeds));

async function run(first: number, count: number): Promise<number> {
  const begin = performance.now();
  const all: Simulated[] = [];
  for (let seed = first; seed < first + count; seed += 1) {
    const simulated = await simulate(seed);
    all.push(simulated);
    if (values.verbose) for (const deed of simulated.deeds) console.log(deed);
    for (const promise of simulated.broken) console.log(`seed ${seed}: ${promise}`);
    if (values["until-broken"] && simulated.broken.length > 0) break;
  }
  const sum = (of: (one: Simulated) => number) => all.reduce((total, one) => total + of(one), 0);
  const broken = all.filter((one) => one.broken.length > 0).length;
  const seconds = (performance.now() - begin) / 1000;
  const rare = (["forked", "renewed", "snapshots", "pruned", "departed"] as const).map(
    (what) => `${what} ${sum((one) => one.counts[what])}`,
  );
  console.log(
    `${all.length} schedules from seed ${first}, ${sum((one) => one.events)} events, ` +
      `${sum((one) => one.acknowledged)} writes acknowledged (${rare.join(", ")}), ${broken} broken, ` +
      `${seconds.toFixed(1)} s (${Math.round((60 * all.length) / seconds)} schedules a minute)`,
  );
  return broken === 0 ? 0 : 1;
}
