import assert from "node:assert/strict";
import { test } from "node:test";
import { signNodeCertificate } from "../act/certificates.ts";
import { makeSiteCa } from "../act/site-ca.ts";
import { fleetStatus } from "../status/fleet-status.ts";
import { aCluster, aCondition, aNode, aView, nowMs } from "../testing/builders.ts";
import { requestsFor } from "../testing/certificate-requests.ts";

const dayMs = 24 * 3600_000;
const [entry] = aCluster().spec.sites[0]?.nodes ?? [];
const { name = "" } = entry ?? {};
const certificateRequest = requestsFor(aCluster()).get(name) ?? "";
const signing = aNode(name, "dc1", { stage: "member", status: { certificateRequest } });
/** From a day before now to 30 days after it; due for renewal 19.7 days after it. */
const certificateChain = await signNodeCertificate(
  signing,
  await makeSiteCa({ cluster: "bank", site: "dc1" }, nowMs),
  nowMs,
);

/** What the operator finds, so many days after it was signed by its clock, of what a node says of its certificate. */
type Row = readonly [
  sentence: string,
  days: number,
  says: readonly [status: "True" | "False", reason: string],
  told: RegExp | undefined,
  change?: { readonly measured?: false; readonly observedGeneration?: number },
];
const rows: readonly Row[] = [
  ["both find it good", 10, ["True", "Valid"], undefined],
  ["both find it due", 20, ["True", "ExpiringSoon"], undefined],
  ["half a day ahead", 20.1, ["True", "Valid"], undefined],
  ["three days ahead before a renewal", 22, ["True", "Valid"], /of dc1-a is due for renewal, which it is not/],
  ["three days behind at a renewal", 17, ["True", "ExpiringSoon"], /of dc1-a is not due for renewal, which it is/],
  [
    "three days ahead after a renewal",
    0,
    ["True", "OutOfTime"],
    /says 2026-03-01, when .* is good, which it is not by/,
  ],
  ["three days ahead when a new node was signed", 0, ["False", "OutOfTime"], /is good, which it is not by the node's/],
  ["set right after it was signed: it is signed anew", -3, ["True", "OutOfTime"], undefined],
  ["weeks ahead", 40, ["True", "Valid"], /of dc1-a is not valid, and the node uses it/],
  ["it has ended, and the node says so too", 40, ["False", "OutOfTime"], undefined],
  ["the node's clock was not measured", 22, ["True", "Valid"], undefined, { measured: false }],
  ["the node has not seen the new one", 0, ["True", "OutOfTime"], undefined, { observedGeneration: 0 }],
  ["the node has seen the new one", 0, ["True", "OutOfTime"], /is good, which/, { observedGeneration: 1 }],
];
for (const [sentence, days, [status, reason], told, change = {}] of rows)
  test(`the operator's clock: ${sentence}`, () => {
    const { measured = true, ...seen } = change;
    const time = measured ? aCondition("TimeSynchronised", "True", "x") : aCondition("TimeSynchronised", "False", "x");
    const serving = aCondition("Serving", "True", "Serving");
    const conditions = [serving, time, aCondition("Certificates", status, reason)];
    const node = { stage: "member", spec: { certificateChain }, status: { conditions, ...seen } } as const;
    const { view, plan } = aView({ nodes: { [name]: node }, nowMs: nowMs + days * dayMs });
    const found = plan.blocked.filter(({ gate }) => gate === "clockWithinBound");
    assert.deepEqual(
      found.map(({ subject }) => subject),
      told === undefined ? [] : ["dc1"],
    );
    if (told === undefined) return;
    assert.match(found[0]?.message ?? "", told);
    assert.match(found[0]?.remedy ?? "", /^set the clock of the machine of the operator in dc1 right/);
    assert.equal(fleetStatus(view, plan).nodes, "6/6", "all serve");
  });
