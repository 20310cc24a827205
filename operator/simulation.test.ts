import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { gates } from "@keyfleet/crds/reasons.ts";
import { mutants } from "./testing/mutant-list.ts";
import { misfits, runMutant, soonNoticed } from "./testing/mutants.ts";
import { foundedFleet, runSchedule, settingOf } from "./testing/schedule.ts";

/** Set KEYFLEET_SEEDS to run more; a failing seed is named by its test. See also npm run simulate. */
const seeds = Number(process.env.KEYFLEET_SEEDS ?? 10);
/** Within so many schedules a mutant that is noticed soon is noticed. */
const soonSeeds = 4;
const setting = settingOf(undefined);
const founded = await foundedFleet(setting);

for (let seed = 1; seed <= seeds; seed++)
  test(`seed ${seed}: whatever crashes, is cut off, lost or edited, the fleet comes to rest as the document says, and then nothing is written`, async () => {
    assert.ok((await runSchedule(seed, { ...setting, founded })).steps > 0);
  });

test("each mutant of npm run simulate -- --mutants still changes one place of the code", () => {
  assert.deepEqual(misfits(join(import.meta.dirname, "..")), []);
});

test("each gate is taken out by a mutant, but for those that only tell of something for which nothing waits", () => {
  const told = ["apiAccepts", "siteKnown"];
  const opens = (gate: string) => mutants.some(({ what, find }) => `${what} ${find}`.includes(gate));
  assert.deepEqual(
    Object.keys(gates).filter((gate) => !opens(gate)),
    told,
  );
});

for (const mutant of soonNoticed())
  test(`without "${mutant.what}" a schedule breaks a promise: the checks can fail`, () => {
    assert.notEqual(runMutant(join(import.meta.dirname, ".."), mutant, soonSeeds), undefined);
  });
