import assert from "node:assert/strict";
import { test } from "node:test";
import { eraseAnnotation } from "../desired/erasure.ts";
import type { KubernetesObject } from "../ports/types.ts";
import { aCluster, aView, nowMs, type WorldInTest } from "../testing/builders.ts";
import { type Case, checkCases } from "../testing/cases.ts";

const minute = 60_000;
const week = 7 * 86_400_000;
const at = (ms: number) => new Date(nowMs + ms).toISOString();
/** This operator is a week ahead of all API servers, or behind them. */
const ahead = { dc1: -week, dc2: -week, dc3: -week };
const behind = { dc1: week, dc2: week, dc3: week };

function kept(until: string, more: Record<string, string> = {}) {
  const claim: KubernetesObject = {
    ...{ apiVersion: "v1", kind: "PersistentVolumeClaim" },
    metadata: {
      name: "data-dc1-c-0",
      labels: { "keyfleet.io/node": "dc1-c" },
      annotations: { "keyfleet.io/kept-until": until, ...more },
    },
  };
  return (objects: KubernetesObject[]) => [...objects, claim];
}

const withC = aCluster((c) => c.spec.sites[0]?.nodes.push({ name: "dc1-c" }));
const gone = ["delete PersistentVolumeClaim data-dc1-c-0"];
const marksAnew = ["apply PersistentVolumeClaim data-dc1-c-0"];
const doubtful = { "keyfleet.io/kept-for": "168h" };
const volumes: readonly Case[] = [
  ["is kept as long as it says", { objects: kept(at(minute)) }, []],
  ["is deleted then", { objects: kept(at(-2 * minute)) }, gone],
  [
    "is an ordinary one again when its node is back, whatever the clocks say",
    { cluster: withC, objects: kept(at(-minute)), nodes: { "dc1-c": "member" }, apiClocks: ahead },
    marksAnew,
  ],
  [
    "stays, and that is told, when its time is over by a clock that most sites do not agree with",
    { objects: kept(at(-minute)), apiClocks: ahead },
    [],
    ["timeAgreed dc1-c"],
  ],
  ["is not told of as long as its time is over by no clock", { objects: kept(at(minute)), apiClocks: ahead }, []],
  [
    "stays, and that is told, when its time is over by most clocks and not by this one",
    { objects: kept(at(minute)), apiClocks: behind },
    [],
    ["timeAgreed dc1-c"],
  ],
  ["stays a moment longer when the operator has just begun", { objects: kept(at(-minute)), clockSteadyMs: 0 }, []],
  [
    "stays until the last of the clocks that agree says so",
    { objects: kept(at(-30_000)), apiClocks: { dc2: -minute } },
    [],
  ],
  ["that was marked by a doubtful clock is marked anew", { objects: kept(at(-minute), doubtful) }, marksAnew],
  [
    "that was marked by a doubtful clock stays as it is while there is doubt",
    { objects: kept(at(week), doubtful), apiClocks: behind },
    [],
    ["timeAgreed dc1-c"],
  ],
];
checkCases({ "the volume of a removed node": volumes });

/** How a volume is marked in such a world: until when, and for how long in doubt. */
function marks(world: WorldInTest): readonly [untilMs: number, keptFor: string | undefined, erase: string | undefined] {
  const { plan } = aView(world);
  assert.ok(plan.kind === "act", JSON.stringify(plan.blocked));
  const claim = plan.actions.find((action) => action.kind === "apply" && action.object.kind.endsWith("Claim"));
  assert.ok(claim?.kind === "apply");
  const annotations = claim.object.metadata.annotations ?? {};
  const until = Date.parse(annotations["keyfleet.io/kept-until"] ?? "");
  return [until - nowMs, annotations["keyfleet.io/kept-for"], annotations[eraseAnnotation]];
}

const leave = { membership: { action: "Leave" as const }, settings: { storage: { retainAfterRemoval: "2h" } } };
const leaving: WorldInTest = {
  cluster: aCluster((c) => void c.spec.sites[0]?.nodes.pop()),
  listed: { "dc1-b": { standing: "Departed", incarnation: "log-of-dc1-b" } },
  nodes: { "dc1-b": { stage: "member", serving: false, spec: leave } },
};

test("a volume is kept from the latest that a clock says which may be right", () => {
  const [until, keptFor] = marks({ ...leaving, apiClocks: { dc3: minute, dc2: week } });
  assert.deepEqual([until, keptFor], [120 * minute + minute + 1_010, undefined]);
});

test("a clock that is behind shortens nothing: the time counts from when clocks agree", () => {
  const [until, keptFor] = marks({ ...leaving, apiClocks: behind });
  assert.deepEqual([until, keptFor], [week + 1_010 + 120 * minute, "2h"]);
});

test("marked anew, the time is whole, and how the key is destroyed stays", () => {
  const objects = kept(at(-minute), { ...doubtful, [eraseAnnotation]: "how" });
  assert.deepEqual(marks({ objects }), [week + 1_010, undefined, "how"]);
});

test("what is told names the clocks and what to do, and no number that changes", () => {
  const { plan } = aView({ objects: kept(at(-minute)), apiClocks: { dc2: -week, dc3: -week } });
  const [told] = plan.blocked;
  assert.match(
    told?.message ?? "",
    /operator of dc1 differs .* of dc2, dc3, so the volume of dc1-c, which was removed, stays/,
  );
  assert.match(told?.remedy ?? "", /time servers/);
  const { plan: later } = aView({ objects: kept(at(-minute)), apiClocks: { dc2: -week - 5_000, dc3: -week - 5_000 } });
  assert.deepEqual(later.blocked, plan.blocked);
});
