import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultySites, siteNames } from "./testing/faulty-sites.ts";
import { generator } from "./testing/random.ts";
import { aHappening, aRestore, aStall, type Happening } from "./testing/runtime-faults.ts";
import { waitingForLock, wrongIn } from "./testing/wellness.ts";

/** Set KEYFLEET_SEEDS to run more and KEYFLEET_FROM to begin elsewhere; a failing seed is named by its test, with what happened. */
const seeds = Number(process.env.KEYFLEET_SEEDS ?? 60);
const from = Number(process.env.KEYFLEET_FROM ?? 1);

/** A minute in which all heals, and one pass more than the resync of LeaderWork, which is a minute too. */
const healsWithinMs = 75_000;
/** Two have the fleet lock for 20 s each, after the share of one that led before has lapsed. */
const lockedWithinMs = 90_000;
/** A watch that nobody answers any more is given up when its time is over (ports/connect.ts). */
const stallsForMs = 285_000;
/** From one operator to one API server in a second; and of one verb and kind in ten, of which there may be two informers. */
const most = { inASecond: 100, ofAKindInTen: 40 };

/** No promise waits for anything but the clock, so that one turn lets all run that can. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

for (let seed = from; seed < from + seeds; seed++)
  test(`seed ${seed}: whatever API servers answer, a minute after all is seen and done, and nothing is left over`, () =>
    run(seed));

async function run(seed: number): Promise<void> {
  const random = generator(seed);
  const sites = new FaultySites(random);
  const happened: string[] = [];
  for (const operator of sites.operators) operator.start();
  try {
    await untilNone(sites, () => wrongIn(sites), healsWithinMs);
    const timers = Math.max(...(await timersOf(sites)));
    await happen(sites, { seed, random, happened });
    calm(sites);
    await untilNone(sites, () => wrongIn(sites), healsWithinMs + (seed % 4 === 0 ? stallsForMs : 0));
    await untilNone(sites, () => waitingForLock(sites), lockedWithinMs);
    const left = Math.min(...(await timersOf(sites)));
    assert.ok(left <= timers, `${left} timers wait, ${timers} before`);
    assert.deepEqual(tooOften(sites), []);
    for (const { log } of sites.operators) assert.deepEqual(log.lines.filter(isOfABug), []);
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${happened.join("\n")}`, { cause: error });
  } finally {
    await stop(sites);
  }
  assert.equal(sites.clock.pending, 0, "nothing is left when all have stopped");
}

/** Half a minute of what may go wrong; in some schedules with silent watches, in others with a backup that is put back. */
async function happen(
  sites: FaultySites,
  given: { readonly seed: number; readonly random: () => number; readonly happened: string[] },
): Promise<void> {
  const { seed, random, happened } = given;
  let restore: Happening | undefined;
  const begin = (...happenings: readonly (Happening | undefined)[]) => {
    for (const one of happenings) {
      if (one === undefined) continue;
      happened.push(`${sites.clock.monotonicMs() - beganMs} ms: ${one.what}`);
      one.begin();
    }
  };
  const beganMs = sites.clock.monotonicMs();
  for (let nth = 0; nth < 12; nth++) {
    if (nth === 2 && seed % 4 === 1) restore = aRestore(sites, random);
    begin(aHappening(sites, random), seed % 4 === 0 && nth % 6 === 5 ? aStall(sites, random) : undefined);
    await sites.clock.advance(Math.round(random() * 6_000), settled);
    if (nth === 8) begin(restore);
  }
  happened.push(`${sites.clock.monotonicMs() - beganMs} ms: calm`);
}

/** From now on nothing goes wrong, and each operator is to work on its fleet and to have the fleet lock once more. */
function calm(sites: FaultySites): void {
  const { clock } = sites;
  sites.faults = [];
  clock.jump(clock.monotonicMs() - clock.nowMs());
  for (const operator of sites.operators) {
    for (const peer of siteNames.filter((name) => name !== operator.site)) {
      sites.putSecret(operator.site, peer);
      sites.server(operator.site).drop("Secret", `second-${peer}`);
    }
    operator.passes = 0;
    operator.wantsLock = true;
  }
}

async function untilNone(
  { clock }: FaultySites,
  look: () => readonly string[] | Promise<readonly string[]>,
  withinMs: number,
): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += 1_000) {
    const wrong = await look();
    if (wrong.length === 0) return;
    assert.ok(waitedMs < withinMs, `not well after ${waitedMs} ms: ${wrong.join("\n")}`);
    await clock.advance(1_000, settled);
  }
}

/** How many timers wait, at five moments. */
async function timersOf({ clock }: FaultySites): Promise<readonly number[]> {
  const counts: number[] = [];
  for (let second = 0; second < 5; second++) {
    await clock.advance(1_000, settled);
    counts.push(clock.pending);
  }
  return counts;
}

function tooOften({ asked }: FaultySites): readonly string[] {
  const wrong: string[] = [];
  const inTen = new Map<string, number>();
  for (const [what, count] of asked) {
    const [key, isAll] = [what.replace(/\d$/, ""), what.includes(": all")];
    inTen.set(key, (inTen.get(key) ?? 0) + count);
    if (isAll && count > most.inASecond) wrong.push(`${what}: ${count} requests in a second`);
    if (!isAll && (inTen.get(key) ?? 0) > most.ofAKindInTen) wrong.push(`${key}: ${inTen.get(key)} requests in ten`);
  }
  return wrong;
}

function isOfABug(line: string): boolean {
  return line.startsWith("error");
}

/** As a process that ends; calls under way get the time of their deadlines. */
async function stop({ operators, clock }: FaultySites): Promise<void> {
  const stopped = Promise.all(operators.map((operator) => operator.stop()));
  await clock.advance(30_000, settled);
  await stopped;
}
