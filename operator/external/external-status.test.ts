import assert from "node:assert/strict";
import { test } from "node:test";
import type { KmsNodeStatus } from "@keyfleet/crds/kms-node.ts";
import { parse } from "yaml";
import { requestAnnotation } from "../desired/external.ts";
import { ApiError } from "../ports/kubernetes-api.ts";
import type { KmsNode, KubernetesObject } from "../ports/types.ts";
import { aCondition, aNode } from "../testing/builders.ts";
import { FakeClock, settle } from "../testing/fake-clock.ts";
import { quietLog } from "../testing/quiet-log.ts";
import { ExternalNodes } from "./external-nodes.ts";
import { documentOf, externalStatus } from "./external-status.ts";
import type { Reading } from "./status-reader.ts";

const nowMs = Date.parse("2026-03-01T12:00:00Z");
const request = "-----BEGIN CERTIFICATE REQUEST-----\nQUJD\n-----END CERTIFICATE REQUEST-----\n";
const place = { management: "External", address: "k470.bank.example" } as const;
const silent: Reading = { ok: false, problem: "connect ECONNREFUSED" };

function aMachine(change: (node: KmsNode) => void = () => {}): KmsNode {
  const node = aNode("dc1-x", "dc1", { stage: "member", spec: place });
  change(node);
  return node;
}

const conditionsOf = (node: KmsNode, reading: Reading) =>
  externalStatus(node, reading, nowMs).conditions?.map(({ type, status }) => `${type} ${status}`);

test("what a node shows of itself becomes its status, with its document, and nothing else that it says is its document", () => {
  const node = aMachine();
  const shown = { version: "0.1.0", document: "evil", conditions: [aCondition("Serving", "True", "Serving")] };
  const status = externalStatus(node, { ok: true, status: shown }, nowMs);
  assert.deepEqual(status, { ...shown, document: documentOf(node) });
});

test("a node that shows nothing is Unknown in everything, says why, and keeps what is known of it", () => {
  const status = externalStatus(aMachine(), silent, nowMs);
  assert.equal(new Set(status.conditions?.map((condition) => condition.status)).size, 1);
  assert.equal(status.conditions?.[0]?.status, "Unknown");
  assert.match(status.conditions?.[0]?.message ?? "", /k470\.bank\.example:8444 \(connect ECONNREFUSED\); see that/);
  assert.equal(status.incarnation, "log-of-dc1-x");
});

test("a node stays Unknown since the moment when it became so: nothing is written again and again", () => {
  const first = externalStatus(aMachine(), silent, nowMs);
  const later = externalStatus({ ...aMachine(), status: first }, silent, nowMs + 60_000);
  assert.deepEqual(later, first);
});

const brought: readonly (readonly [string, string, string | undefined])[] = [
  ["the request that its administrator brought", request, request],
  ["a request between other lines", `Subject: x\n${request}\nbye`, request],
  ["nothing where what was brought is no request", "-----BEGIN PRIVATE KEY-----\nQUJD", undefined],
  ["nothing where it is too long", request.padEnd(9_000), undefined],
];
for (const [what, text, expected] of brought)
  test(`the status of a node without certificate has ${what}`, () => {
    const node = aMachine((each) => {
      each.metadata.annotations = { [requestAnnotation]: text };
      delete each.status;
      delete each.spec.certificateChain;
    });
    const status = externalStatus(node, silent, nowMs);
    assert.equal(status.certificateRequest, expected);
    assert.match(status.conditions?.[0]?.message ?? "", /no certificate yet/);
  });

test("a request that is brought for a node with a new disk takes the place of the old one, and the node's own word wins", () => {
  const node = aMachine((each) => (each.metadata.annotations = { [requestAnnotation]: request }));
  assert.equal(externalStatus(node, silent, nowMs).certificateRequest, request);
  const shown = { ok: true, status: { certificateRequest: "own" } } as const;
  assert.equal(externalStatus(node, shown, nowMs).certificateRequest, "own");
});

test("the document is what the node reads: name, generation, specification, and nothing of the API's", () => {
  const node = aMachine((each) => (each.metadata.generation = 7));
  const { apiVersion, kind, spec } = node;
  assert.deepEqual(parse(documentOf(node)), { apiVersion, kind, metadata: { name: "dc1-x", generation: 7 }, spec });
});

test("one lost answer is no loss, two are; a write is made only for a node that is still there", async () => {
  const clock = new FakeClock();
  const written: string[] = [];
  let nodes: KmsNode[] = [aMachine()];
  const externals = new ExternalNodes({
    nodes: () => nodes,
    trust: () => "",
    ca: () => undefined,
    certificate: async () => ({ chainPem: "", privateKeyPem: "", beginsAtMs: 0, renewAtMs: Number.POSITIVE_INFINITY }),
    write: async (node: KubernetesObject) => {
      const status = node.status as KmsNode["status"];
      written.push(status?.conditions?.find(({ type }) => type === "Serving")?.status ?? "none");
    },
    read: async () => silent,
    clock,
    log: quietLog(),
  });
  externals.tend();
  await settle();
  await clock.advance(2_000);
  assert.deepEqual(written, ["True", "Unknown"]);
  nodes = [];
  await clock.advance(10_000);
  assert.equal(written.length, 2);
  externals.stop();
});

/** What is written of a machine that shows this status, while the API server takes only what `takes` does. */
async function writtenOf(shown: KmsNodeStatus, takes: (status: KmsNodeStatus) => ApiError | undefined) {
  const written: KmsNodeStatus[] = [];
  const clock = new FakeClock();
  const externals = new ExternalNodes({
    nodes: () => [aMachine((each) => (each.status = written.at(-1) ?? each.status ?? {}))],
    trust: () => "",
    ca: () => undefined,
    certificate: async () => ({ chainPem: "", privateKeyPem: "", beginsAtMs: 0, renewAtMs: Number.POSITIVE_INFINITY }),
    write: async ({ status }) => {
      const refusal = takes(status as KmsNodeStatus);
      if (refusal !== undefined) throw refusal;
      written.push(status as KmsNodeStatus);
    },
    read: async () => ({ ok: true, status: shown }),
    clock,
    log: quietLog(),
  });
  externals.tend();
  await settle();
  await clock.advance(2_000);
  externals.stop();
  return written;
}

const strange = { version: "0.1.0", conditions: [aCondition("Serving", "True", "Serving")], featureLevel: "odd" };

test("a node whose answer the API server does not take is Unknown, says why, and does not seem to serve any longer", async () => {
  const invalid = new ApiError("invalid", 'KmsNode "dc1-x" is invalid: status.featureLevel: "odd"', { status: 422 });
  const written = await writtenOf(strange, ({ featureLevel }) => (featureLevel === "odd" ? invalid : undefined));
  const serving = written.map(({ conditions }) => conditions?.find(({ type }) => type === "Serving"));
  assert.deepEqual([...new Set(serving.map((each) => each?.status))], ["Unknown"]);
  assert.match(serving[0]?.message ?? "", /8444 is not taken \(.*status\.featureLevel: "odd"\); see that/);
  assert.equal(written[0]?.incarnation, "log-of-dc1-x");
  assert.deepEqual(written[1], written[0], "nothing is written again and again");
});

test("an API server that is away says nothing of what a node answers", async () => {
  assert.deepEqual(await writtenOf(strange, () => new ApiError("unreachable", "no answer within 2 s")), []);
  let first = true;
  const written = await writtenOf(strange, () => {
    const conflict = first ? new ApiError("conflict", "the object has been modified") : undefined;
    first = false;
    return conflict;
  });
  assert.deepEqual(
    written.map(({ featureLevel }) => featureLevel),
    ["odd"],
  );
});

test("without a certificate nobody is asked", async () => {
  const node = aMachine((each) => {
    delete each.spec.certificateChain;
    delete each.status;
  });
  const written: (KmsNode["status"] | undefined)[] = [];
  const externals = new ExternalNodes({
    nodes: () => [node],
    trust: () => "",
    ca: () => undefined,
    certificate: async () => undefined,
    write: async (each) => void written.push(each.status as KmsNode["status"]),
    read: () => assert.fail("asked"),
    clock: new FakeClock(),
    log: quietLog(),
  });
  await externals.look();
  externals.stop();
  assert.match(written[0]?.document ?? "", /kind: KmsNode/);
  assert.deepEqual(
    conditionsOf(node, silent),
    written[0]?.conditions?.map(({ type, status }) => `${type} ${status}`),
  );
});

test("the operator shows itself with another certificate when the clock was wrong by which the last was made", async () => {
  let now = nowMs + 365 * 24 * 3600_000;
  let made = 0;
  const externals = new ExternalNodes({
    ...{
      nodes: () => [aMachine()],
      trust: () => "",
      ca: () => undefined,
      write: async () => {},
      read: async () => silent,
    },
    certificate: async () => {
      made++;
      return { chainPem: "", privateKeyPem: "", beginsAtMs: now, renewAtMs: now + 3600_000 };
    },
    clock: { nowMs: () => now, monotonicMs: () => 0, sinceBoot: () => ({ boot: "", ms: 0 }), after: () => () => {} },
    log: quietLog(),
  });
  for (const _time of ["once", "again"]) await externals.look();
  assert.equal(made, 1);
  now = nowMs;
  await externals.look();
  assert.equal(made, 2);
  externals.stop();
});

test("the operator shows itself by the CA that signs now, and by the last one while that is lost", async () => {
  let ca: string | undefined = "the first";
  const shown: string[] = [];
  const externals = new ExternalNodes({
    ...{ nodes: () => [aMachine()], trust: () => "", write: async () => {}, clock: new FakeClock(), log: quietLog() },
    ca: () => ca,
    certificate: async () => {
      const times = { beginsAtMs: 0, renewAtMs: Number.POSITIVE_INFINITY };
      return ca === undefined ? undefined : { chainPem: `certificate by ${ca}`, privateKeyPem: "", ...times };
    },
    read: async ({ chainPem }) => {
      shown.push(chainPem);
      return silent;
    },
  });
  for (const next of ["the first", undefined, "the second"]) {
    ca = next;
    await externals.look();
  }
  externals.stop();
  assert.deepEqual(shown, ["certificate by the first", "certificate by the first", "certificate by the second"]);
});
