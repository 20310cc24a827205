import "./instance.ts";

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { until } from "../fleet/await.ts";
import { type ContainerProcess, containerProcesses, killAtOnce } from "../fleet/container-processes.ts";
import { waitForAllServing, waitUntilEqual } from "../fleet/fleet.ts";
import { readEverywhere } from "../fleet/read-back.ts";
import { startWriters } from "../fleet/writers.ts";
import { aRunningFleet, type Fleet, last, place } from "./world.ts";

let fleet: Fleet;
before(async () => {
  fleet = await aRunningFleet();
});

// Of a site that no story took down: Kubernetes waits longer and longer before it starts a container again.
const node = `${last}-b`;
const victims: readonly { what: string; container: string; pick: (process: ContainerProcess) => boolean }[] = [
  { what: "the key server", container: "keyserver", pick: ({ command }) => command.includes("key-server.ts") },
  { what: "the HSM sidecar", container: "hsm", pick: ({ command }) => command.includes("hsm-sidecar.ts") },
  { what: "PostgreSQL", container: "postgres", pick: ({ command }) => /bin\/postgres -D/.test(command) },
  {
    what: "one backend of PostgreSQL",
    container: "postgres",
    pick: ({ command }) => /^postgres: .*keyfleet/.test(command),
  },
  { what: "PostgreSQL's checkpointer", container: "postgres", pick: ({ command }) => /checkpointer/.test(command) },
  { what: "chrony", container: "chrony", pick: ({ command }) => command.startsWith("chronyd") },
];

for (const { what, container, pick } of victims) {
  test(`kill -9 of ${what} under writes: nothing acknowledged is lost and the node serves again`, async (t) => {
    const { call, endpoints } = fleet;
    const writers = startWriters(place, { endpoints, call, name: `kill-${Date.now()}`, startAt: [node, `${last}-a`] });
    t.after(() => writers.stop());
    await writers.more(30);
    const victim = (await containerProcesses(place, `${node}-0`, container)).find(pick);
    assert.ok(victim, `no such process in ${container}`);
    killAtOnce(victim.pid);
    await writers.more(30);
    const processes = () => containerProcesses(place, `${node}-0`, container);
    const replaced = (seen: ContainerProcess[]) => seen.some((one) => pick(one) && one.pid !== victim.pid);
    await until(processes, replaced, { what: `${what} runs again`, deadlineMs: 120_000 });
    await waitForAllServing(place, { deadlineMs: 120_000 });
    const keys = await writers.stop();
    await waitUntilEqual(place, fleet.nodes, 60_000);
    await readEverywhere(place, call, { keys, nodes: fleet.nodes });
  });
}
