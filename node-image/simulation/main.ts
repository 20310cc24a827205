/** Many schedules of the replication protocol on simulated time: see the help text. */
import { parseArgs } from "node:util";
import { simulate } from "./simulate.ts";

const help = `Runs the real replication code on simulated time, disks and links: writes, crashes, cuts, lost notifications,
pauses, wrong clocks, nodes that join and leave, sites that are destroyed; and checks every promise.

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
  const total = { events: 0, acknowledged: 0, broken: 0 };
  for (let seed = first; seed < first + count; seed += 1) {
    const simulated = await simulate(seed);
    total.events += simulated.events;
    total.acknowledged += simulated.acknowledged;
    if (values.verbose) for (const deed of simulated.deeds) console.log(deed);
    if (simulated.broken.length === 0) continue;
    total.broken += 1;
    for (const promise of simulated.broken) console.log(`seed ${seed}: ${promise}`);
    if (values["until-broken"]) break;
  }
  const seconds = (performance.now() - begin) / 1000;
  console.log(
    `${count} schedules from seed ${first}, ${total.events} events, ${total.acknowledged} writes acknowledged, ` +
      `${total.broken} broken, ${seconds.toFixed(1)} s (${Math.round((60 * count) / seconds)} schedules a minute)`,
  );
  return total.broken === 0 ? 0 : 1;
}
