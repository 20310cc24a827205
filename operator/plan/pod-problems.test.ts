import assert from "node:assert/strict";
import { test } from "node:test";
import { aCluster, anObserved } from "../testing/builders.ts";
import { podOf } from "../testing/worlds.ts";
import { podProblem } from "./pod-problems.ts";

const killed = { reason: "OOMKilled", exitCode: 137 };
const withLimit = aCluster(({ spec }) => {
  spec.defaults = { ...spec.defaults, resources: { limits: { memory: "24Mi" } } };
});

/** What the scheduler says, and what to do. */
for (const [sentence, said, remedy] of [
  [
    "every machine is full",
    "0/1 nodes are available: 1 Insufficient cpu.",
    "add a machine with enough room, or change placement or resources in the settings of dc1-b",
  ],
  [
    "somebody drains the machine",
    "0/1 nodes are available: 1 node(s) were unschedulable.",
    "kubectl uncordon the machine when its work is done; or add a machine with enough room, or change placement or resources in the settings of dc1-b",
  ],
] as const)
  test(`a pod that no machine takes: ${sentence}`, () => {
    const status = { conditions: [{ type: "PodScheduled", status: "False", message: said }] };
    const problem = podProblem(anObserved({ objects: podOf("dc1-b", status) }), "dc1-b");
    assert.deepEqual([problem?.message, problem?.remedy], [`no machine of the site can take the pod: ${said}`, remedy]);
  });

/** What is known of the end of the container before, with which document; message and remedy. */
for (const [sentence, terminated, cluster, message, remedy] of [
  [
    "killed for its memory limit",
    killed,
    withLimit,
    "container keeps ending: killed for memory, its limit is 24Mi (container keyserver)",
    "raise resources.limits.memory in the settings of dc1-b",
  ],
  [
    "killed for memory without a limit",
    killed,
    aCluster(),
    "container keeps ending: killed for memory, of which its machine has too little (container keyserver)",
    "give its machine more memory, or choose another with placement in the settings of dc1-b",
  ],
  [
    "killed, as a process in a container is that has reached its limit",
    { reason: "Error", exitCode: 137 },
    withLimit,
    "container keeps ending: killed (exit code 137), as for memory: its limit is 24Mi (container keyserver)",
    "raise resources.limits.memory in the settings of dc1-b; if that is not it, see kubectl logs",
  ],
  [
    "killed without a limit, for whatever reason",
    { reason: "Error", exitCode: 137 },
    aCluster(),
    "container keeps ending: back-off (container keyserver)",
    "see kubectl logs",
  ],
  [
    "ended by itself, whatever its limit is",
    { reason: "Error", exitCode: 1, message: "no disk" },
    withLimit,
    "container keeps ending: no disk (container keyserver)",
    "see kubectl logs",
  ],
] as const)
  test(`a container that keeps ending: ${sentence}`, () => {
    const state = { waiting: { reason: "CrashLoopBackOff", message: "back-off" } };
    const status = { containerStatuses: [{ name: "keyserver", state, lastState: { terminated } }] };
    const problem = podProblem(anObserved({ cluster, objects: podOf("dc1-b", status) }), "dc1-b");
    assert.deepEqual([problem?.gate, problem?.message, problem?.remedy], ["nodeStarted", message, remedy]);
  });

test("a container that waits for a reason that nobody thought of is told in the words of its runtime", () => {
  const told = (reason: string) => {
    const state = { waiting: { reason, message: "no such device: /dev/hsm0" } };
    const status = { containerStatuses: [{ name: "hsm", state }] };
    return podProblem(anObserved({ objects: podOf("dc1-b", status) }), "dc1-b")?.message;
  };
  const message = "container is not started (RunContainerError): no such device: /dev/hsm0 (container hsm)";
  assert.equal(told("RunContainerError"), message);
  assert.equal(told("PodInitializing"), "container hsm is not made yet: a volume, a Secret or an image does not come");
});
