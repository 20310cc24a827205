import assert from "node:assert/strict";
import { test } from "node:test";
import { eraseAnnotation } from "../desired/erasure.ts";
import type { KubernetesObject } from "../ports/types.ts";
import { aCluster, aView, inWords, nowMs, type WorldInTest } from "../testing/builders.ts";
import { type Case, checkCases } from "../testing/cases.ts";
import { countedEveryMs, keptTime, keptUntil } from "./kept-time.ts";
import type { Plan } from "./types.ts";

const minute = 60_000;
const hour = 60 * minute;
const week = 168 * hour;
/** What the clock of the machine says. */
const sinceBootMs = 100 * hour;

/** The volume of a node that is gone, kept for so long by somebody's count. */
function kept(count: object | string, more: Record<string, string> = {}) {
  const text = typeof count === "string" ? count : JSON.stringify(count);
  const claim: KubernetesObject = {
    ...{ apiVersion: "v1", kind: "PersistentVolumeClaim" },
    metadata: {
      name: "data-dc1-c-0",
      labels: { "keyfleet.io/node": "dc1-c" },
      annotations: { [keptUntil]: new Date(nowMs - minute).toISOString(), [keptTime]: text, ...more },
    },
  };
  return (objects: KubernetesObject[]) => [...objects, claim];
}

const count = (keptMs: number, atMs = sinceBootMs, boot = "mine") => ({ keptMs, boot, atMs });
const counted = (...counts: object[]) => ({ retention: "168h", counts });
const withC = aCluster((c) => c.spec.sites[0]?.nodes.push({ name: "dc1-c" }));
const anEnd = aCluster((c) => (c.spec.defaults = { ...c.spec.defaults, storage: { retainAfterRemoval: "2h" } }));
const gone = ["delete PersistentVolumeClaim data-dc1-c-0"];
const marks = ["apply PersistentVolumeClaim data-dc1-c-0"];

const volumes: readonly Case[] = [
  ["is kept, whatever its mark says of the time of day", { sinceBootMs, objects: kept(counted(count(0))) }, []],
  [
    "is kept also a year later by the time of day",
    { sinceBootMs, nowMs: nowMs + 52 * week, objects: kept(counted(count(0))) },
    [],
  ],
  ["is kept until the last millisecond", { sinceBootMs, objects: kept(counted(count(week - 1))) }, []],
  ["is deleted then", { sinceBootMs, objects: kept(counted(count(week))) }, gone],
  [
    "is deleted when what passed since it was last written down is the rest",
    { sinceBootMs, objects: kept(counted(count(week - 5 * minute, sinceBootMs - 5 * minute))) },
    gone,
  ],
  [
    "is deleted then by a clock that tells a time of day long ago",
    { sinceBootMs, nowMs: nowMs - 52 * week, objects: kept(counted(count(week))) },
    gone,
  ],
  [
    "is marked by an operator on another machine",
    { sinceBootMs, objects: kept(counted(count(hour, 0, "other"))) },
    marks,
  ],
  [
    "is not deleted by what another machine's clock said",
    { sinceBootMs, objects: kept(counted(count(week - 1, 0, "other"))) },
    marks,
  ],
  [
    "is deleted by what has passed on this machine since it was last counted there, whatever was counted elsewhere since",
    { sinceBootMs, objects: kept(counted(count(hour, 0, "other"), count(0, sinceBootMs - week))) },
    gone,
  ],
  [
    "is deleted when it was counted to its end on another machine",
    { sinceBootMs, objects: kept(counted(count(week, 0, "other"), count(0, sinceBootMs - hour))) },
    gone,
  ],
  [
    "is marked when much has passed since",
    { sinceBootMs, objects: kept(counted(count(0, sinceBootMs - countedEveryMs))) },
    marks,
  ],
  ["is not marked before", { sinceBootMs, objects: kept(counted(count(0, sinceBootMs - countedEveryMs + 1))) }, []],
  [
    "is an ordinary one again when its node is back, however long it was kept",
    { sinceBootMs, cluster: withC, objects: kept(counted(count(week))), nodes: { "dc1-c": "member" } },
    marks,
  ],
  [
    "without a time to be kept for is deleted",
    { sinceBootMs, objects: kept({ ...counted(count(0)), retention: "0m" }) },
    gone,
  ],
];
checkCases({ "the volume of a removed node": volumes });

/** The marks that a plan puts on the claim. */
function markOf(plan: Plan): Record<string, string> | undefined {
  const actions = plan.kind === "act" ? plan.actions : [];
  const claim = actions.find((action) => action.kind === "apply" && action.object.kind.endsWith("Claim"));
  return claim?.kind === "apply" ? claim.object.metadata.annotations : undefined;
}

/** What the claim says once the operator has marked it. */
function marked(world: WorldInTest) {
  const annotations = markOf(aView({ sinceBootMs, ...world }).plan);
  assert.ok(annotations);
  const { [keptUntil]: until = "", [keptTime]: time = "", [eraseAnnotation]: erase } = annotations;
  return { leftMs: Date.parse(until) - nowMs, time: JSON.parse(time), erase };
}

const leave = { membership: { action: "Leave" as const }, settings: { storage: { retainAfterRemoval: "3h" } } };

test("a node that goes leaves a volume that is kept for the time of its settings, from now on", () => {
  const { leftMs, time } = marked({
    cluster: aCluster((c) => void c.spec.sites[0]?.nodes.pop()),
    listed: { "dc1-b": { standing: "Departed", incarnation: "log-of-dc1-b" } },
    nodes: { "dc1-b": { stage: "member", serving: false, spec: leave } },
  });
  assert.deepEqual([leftMs, time], [3 * hour, { ...counted(count(0)), retention: "3h" }]);
});

test("an operator on another machine counts from what was written down, and with the clock of its machine alone", () => {
  const before = count(hour, 7, "other");
  const { leftMs, time, erase } = marked({ objects: kept(counted(before), { [eraseAnnotation]: "how" }) });
  assert.deepEqual([leftMs, time, erase], [week - hour, counted(count(hour), before), "how"]);
});

test("what is written down is what has passed; parts of a millisecond are not counted", () => {
  const objects = kept(counted(count(hour, sinceBootMs - 20 * minute)));
  const { time } = marked({ objects, sinceBootMs: sinceBootMs + 0.5 });
  assert.deepEqual(time, counted(count(hour + 20 * minute, sinceBootMs + 1)));
});

test("the clocks of four machines are remembered, that of the one that was asked longest ago is not", () => {
  const [first, ...others] = ["w", "x", "y", "z"].map((boot) => count(hour, 7, boot));
  assert.ok(first);
  const { time } = marked({ objects: kept(counted(...others, first)) });
  assert.deepEqual(time, counted(count(hour), ...others));
});

test("operators that are replaced every minute, now here now there, write little and end the time when it is over", () => {
  let claims = kept({ retention: "3h", counts: [] });
  let writes = 0;
  for (let minutes = 0; minutes < 180; minutes++) {
    const boot = minutes % 3 === 0 ? "other" : "mine";
    const { plan } = aView({ boot, sinceBootMs: (boot === "mine" ? hour : week) + minutes * minute, objects: claims });
    assert.ok(
      plan.kind !== "act" || plan.actions.every(({ kind }) => kind === "apply"),
      `deleted after ${minutes} min`,
    );
    const text = markOf(plan)?.[keptTime];
    if (text === undefined) continue;
    writes += 1;
    claims = kept(text);
  }
  const { plan } = aView({ boot: "mine", sinceBootMs: hour + 181 * minute, objects: claims });
  assert.deepEqual(inWords(plan).does, gone);
  assert.ok(writes <= 2 * 9 + 2, `${writes} writes in three hours on two machines`);
});

const unreadable: readonly (readonly [string, object | string])[] = [
  ["is missing", ""],
  ["is no JSON", "a week"],
  ["is another thing", "null"],
  ["has a time that is none", { ...counted(count(week)), retention: "soon" }],
  ["has no count", { ...counted(), counts: undefined }],
  ["has a count without time", counted({ ...count(week), keptMs: undefined })],
  ["has a count without end", `{"retention":"168h","counts":[{"keptMs":1e999,"boot":"mine","atMs":0}]}`],
  ["does not say whose clock it is", counted({ ...count(week), boot: undefined })],
  ["has no reading of a clock", counted({ ...count(week), atMs: "now" })],
  ["has a count that is none", counted(count(hour), "week" as unknown as object)],
];
for (const [what, text] of unreadable)
  test(`a mark that ${what} counts anew, for the time of the document`, () => {
    const { time } = marked({ objects: kept(text), cluster: anEnd });
    assert.deepEqual(time, { ...counted(count(0)), retention: "2h" });
  });

test("that volumes are kept for another time than a week is no complaint about their size", () => {
  const { blocked } = aView({ cluster: anEnd }).plan;
  assert.deepEqual(blocked, []);
});
