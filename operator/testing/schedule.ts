import assert from "node:assert/strict";
import type { KmsCluster } from "../ports/types.ts";
import { aCluster } from "./builders.ts";
import { requestsFor } from "./certificate-requests.ts";
import { keepsAny } from "./kept-volumes.ts";
import { nodeLetters } from "./simulated-edits.ts";
import { Simulation } from "./simulation.ts";
import type { Theme } from "./themes.ts";

const faultySteps = 250;
const mostHealthySteps = 6_000;
/** As long without a write everything must have been seen by everybody: views lag by seconds. */
const settledSteps = 30;
const calmSteps = 60;

/** What one schedule did. */
export interface ScheduleResult {
  readonly steps: number;
  readonly writes: number;
  /** What happened, for counting: "edit", "cut" ... */
  readonly story: readonly string[];
  /** What the operators did to the fleet, counted: "Join", "Fenced", "level" ... */
  readonly did: ReadonlyMap<string, number>;
}

/** What all schedules of a run share. */
export interface ScheduleSetting {
  readonly cluster: KmsCluster;
  readonly requests: ReadonlyMap<string, string>;
  /** A fleet that has come up, to begin with; schedules without edits always begin with nothing. */
  readonly founded?: Simulation;
  /** What the schedules are about; everything when absent. */
  readonly theme?: Theme | undefined;
}

/** What schedules about that begin with; about everything when there is no theme. */
export function settingOf(theme: Theme | undefined): ScheduleSetting {
  const withNodes = (counts: (at: number) => number) =>
    aCluster(({ spec }) =>
      spec.sites.forEach((site, at) => {
        site.nodes = [...nodeLetters].slice(0, counts(at)).map((letter) => ({ name: `${site.name}-${letter}` }));
      }),
    );
  const counts = theme?.nodes;
  const cluster = withNodes((at) => counts?.[at] ?? 2);
  return { cluster, requests: requestsFor(withNodes(() => (counts === undefined ? 4 : nodeLetters.length))), theme };
}

/**
 * One schedule: faults and edits for a while, then everything is mended; the fleet must come to rest as the document says,
 * and then write nothing. Throws with the whole state when an invariant breaks or it does not come to rest. Every fourth
 * seed begins with nothing and has no edits, unless there is a theme.
 */
export async function runSchedule(seed: number, setting: ScheduleSetting): Promise<ScheduleResult> {
  const edits = setting.theme !== undefined || seed % 4 !== 0;
  const world = new Simulation(seed, { ...setting, edits }, edits ? setting.founded : undefined);
  for (let step = 0; step < faultySteps; step++) await world.step(true);
  await world.heal();
  let steps = await untilRest(world);
  if (world.sites.some(keepsAny)) {
    await world.passRetention();
    steps += await untilRest(world, () => !world.sites.some(keepsAny));
  }
  const writes = world.writes();
  for (let step = 0; step < calmSteps; step++) await world.step(false);
  world.checkAtRest();
  assert.equal(world.writes(), writes, `a fleet at rest writes nothing: ${world.describe()}`);
  return { steps: faultySteps + steps, writes, story: world.story, did: world.did() };
}

/** A fleet that has come up without faults. */
export async function foundedFleet(setting: ScheduleSetting): Promise<Simulation> {
  const world = new Simulation(1, { ...setting, edits: false });
  await untilRest(world);
  return world;
}

/** How many steps it took until nobody had anything to do, and that was so. */
async function untilRest(world: Simulation, isDone = () => true): Promise<number> {
  let calm = 0;
  let writes = world.writes();
  for (let steps = 0; steps < mostHealthySteps; steps++) {
    await world.step(false);
    calm = world.atRest() && isDone() && world.writes() === writes ? calm + 1 : 0;
    if (calm > settledSteps && (await isSettled(world)) && world.writes() === writes) return steps;
    // Somebody had not looked for all that time: what he wrote, others have to see.
    if (world.writes() !== writes) calm = 0;
    writes = world.writes();
  }
  assert.fail(`does not come to rest: ${world.describe()}`);
}

async function isSettled(world: Simulation): Promise<boolean> {
  const outcomes = [];
  for (const operator of world.operators) outcomes.push((await operator.pass())?.outcome);
  return outcomes.every((outcome) => outcome === "settled");
}
