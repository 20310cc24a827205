import assert from "node:assert/strict";
import { test } from "node:test";
import { eraseAnnotation } from "../desired/erasure.ts";
import type { KubernetesObject } from "../ports/types.ts";
import { aCluster, aView, nowMs, type WorldInTest } from "../testing/builders.ts";
import { type Case, checkCases } from "../testing/cases.ts";
import { countedEveryMs, keptTime, keptUntil } from "./kept-time.ts";

const minute = 60_000;
const hour = 60 * minute;
const week = 168 * hour;
/** What the clock that never jumps says. */
const monotonicMs = 100 * hour;

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

const count = (keptMs: number, atMs = monotonicMs, instance = "me") => ({ retention: "168h", keptMs, instance, atMs });
const withC = aCluster((c) => c.spec.sites[0]?.nodes.push({ name: "dc1-c" }));
const anEnd = aCluster((c) => (c.spec.defaults = { ...c.spec.defaults, storage: { retainAfterRemoval: "2h" } }));
const gone = ["delete PersistentVolumeClaim data-dc1-c-0"];
const marks = ["apply PersistentVolumeClaim data-dc1-c-0"];

const volumes: readonly Case[] = [
  ["is kept, whatever its mark says of the time of day", { monotonicMs, objects: kept(count(0)) }, []],
  [
    "is kept also a year later by the time of day",
    { monotonicMs, nowMs: nowMs + 52 * week, objects: kept(count(0)) },
    [],
  ],
  ["is kept until the last millisecond", { monotonicMs, objects: kept(count(week - 1)) }, []],
  ["is deleted then", { monotonicMs, objects: kept(count(week)) }, gone],
  [
    "is deleted when what passed since it was last written down is the rest",
    { monotonicMs, objects: kept(count(week - 5 * minute, monotonicMs - 5 * minute)) },
    gone,
  ],
  [
    "is deleted then by a clock that tells a time of day long ago",
    { monotonicMs, nowMs: nowMs - 52 * week, objects: kept(count(week)) },
    gone,
  ],
  ["is marked by an operator that goes on", { monotonicMs, objects: kept(count(hour, 0, "before")) }, marks],
  [
    "is not deleted by what another operator's clock said",
    { monotonicMs, objects: kept(count(week - 1, 0, "before")) },
    marks,
  ],
  [
    "is marked when much has passed since",
    { monotonicMs, objects: kept(count(0, monotonicMs - countedEveryMs)) },
    marks,
  ],
  ["is not marked before", { monotonicMs, objects: kept(count(0, monotonicMs - countedEveryMs + 1)) }, []],
  [
    "is an ordinary one again when its node is back, however long it was kept",
    { monotonicMs, cluster: withC, objects: kept(count(week)), nodes: { "dc1-c": "member" } },
    marks,
  ],
  ["without a time to be kept for is deleted", { monotonicMs, objects: kept({ ...count(0), retention: "0m" }) }, gone],
];
checkCases({ "the volume of a removed node": volumes });

/** What the claim says once the operator has marked it. */
function marked(world: WorldInTest) {
  const { plan } = aView({ monotonicMs, ...world });
  assert.ok(plan.kind === "act", JSON.stringify(plan.blocked));
  const claim = plan.actions.find((action) => action.kind === "apply" && action.object.kind.endsWith("Claim"));
  assert.ok(claim?.kind === "apply");
  const {
    [keptUntil]: until = "",
    [keptTime]: time = "",
    [eraseAnnotation]: erase,
  } = claim.object.metadata.annotations ?? {};
  return { leftMs: Date.parse(until) - nowMs, time: JSON.parse(time), erase };
}

const leave = { membership: { action: "Leave" as const }, settings: { storage: { retainAfterRemoval: "3h" } } };

test("a node that goes leaves a volume that is kept for the time of its settings, from now on", () => {
  const { leftMs, time } = marked({
    cluster: aCluster((c) => void c.spec.sites[0]?.nodes.pop()),
    listed: { "dc1-b": { standing: "Departed", incarnation: "log-of-dc1-b" } },
    nodes: { "dc1-b": { stage: "member", serving: false, spec: leave } },
  });
  assert.deepEqual([leftMs, time], [3 * hour, { ...count(0), retention: "3h" }]);
});

test("an operator that goes on counts from what was written down, and its clock alone", () => {
  const { leftMs, time, erase } = marked({ objects: kept(count(hour, 7, "before"), { [eraseAnnotation]: "how" }) });
  assert.deepEqual([leftMs, time, erase], [week - hour, count(hour), "how"]);
});

test("what is written down is what has passed; parts of a millisecond are not counted", () => {
  const objects = kept(count(hour, monotonicMs - 20 * minute));
  const { time } = marked({ objects, monotonicMs: monotonicMs + 0.5 });
  assert.deepEqual(time, count(hour + 20 * minute, monotonicMs + 1));
});

const unreadable: readonly (readonly [string, object | string])[] = [
  ["is missing", ""],
  ["is no JSON", "a week"],
  ["is another thing", "null"],
  ["has a time that is none", { ...count(week), retention: "soon" }],
  ["has no count", { ...count(week), keptMs: undefined }],
  ["has a count without end", `{"retention":"168h","keptMs":1e999,"instance":"me","atMs":0}`],
  ["does not say whose clock it is", { ...count(week), instance: undefined }],
  ["has no reading of a clock", { ...count(week), atMs: "now" }],
];
for (const [what, text] of unreadable)
  test(`a mark that ${what} counts anew, for the time of the document`, () => {
    const { time } = marked({ objects: kept(text), cluster: anEnd });
    assert.deepEqual(time, { ...count(0), retention: "2h" });
  });

test("that volumes are kept for another time than a week is no complaint about their size", () => {
  const { blocked } = aView({ cluster: anEnd }).plan;
  assert.deepEqual(blocked, []);
});
