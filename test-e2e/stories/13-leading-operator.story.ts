import "./instance.ts";

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { objectAt } from "../fleet/api.ts";
import { until } from "../fleet/await.ts";
import { killAtOnce } from "../fleet/container-processes.ts";
import { editDocument } from "../fleet/document.ts";
import { nodesAt, waitForAllServing } from "../fleet/fleet.ts";
import { underLoad } from "../fleet/load.ts";
import {
  leaderAt,
  leaderSince,
  lockHolder,
  type OperatorPod,
  operatorProcess,
  operatorsAt,
  roleOf,
} from "../fleet/operators.ts";
import { namespace } from "../fleet/places.ts";
import { waitUntilContent, waitUntilTold } from "../fleet/say.ts";
import { aRunningFleet, type Fleet, first, place, second } from "./world.ts";

/** From the loss of a leader until another one acts. */
const failoverMs = 15_000;

let fleet: Fleet;
before(async () => {
  fleet = await aRunningFleet();
});

test("of two operators of each site one leads, and the other says that it stands by", async () => {
  for (const site of place.sites.names) await leaderWithStandby(site);
});

test("leaders are killed -9 and paused in the middle of a restart of nodes: others go on with it, no request fails", async (t) => {
  const before = await podsOf();
  const load = await underLoad(place, fleet, "leader");
  t.after(() => load.cancel());
  await editDocument(place, first, ({ sites }) => {
    const memory = `${128 + Math.floor(Math.random() * 64)}Mi`;
    const site = sites.find(({ name }) => name === first);
    if (site !== undefined) site.defaults = { ...site.defaults, resources: { requests: { memory } } };
  });

  const killed = await workingLeader();
  const killedAtMs = Date.now();
  killAtOnce((await operatorProcess(place, killed)).pid);
  const next = await leaderSince(place, killed.site, killedAtMs);
  t.diagnostic(`kill -9 of ${killed.name}: ${next.leader?.name} leads after ${next.afterMs} ms`);
  assert.ok(next.afterMs <= failoverMs);

  const paused = await workingLeader();
  const { pid } = await operatorProcess(place, paused);
  const pausedAtMs = Date.now();
  process.kill(pid, "SIGSTOP");
  let stopped = true;
  t.after(() => stopped && process.kill(pid, "SIGCONT"));
  const other = await leaderSince(place, paused.site, pausedAtMs, paused.uid);
  t.diagnostic(`pause of ${paused.name}: ${other.leader?.name} leads after ${other.afterMs} ms`);
  assert.ok(other.afterMs <= failoverMs);
  process.kill(pid, "SIGCONT");
  stopped = false;
  const standsBy = `stands by; ${other.leader?.uid} leads`;
  const look = () => roleOf(place, paused);
  await until(look, (role) => role === standsBy, { what: `${paused.name} stands by`, deadlineMs: 30_000 });

  const pending = async () => (await podsOf()).filter((pod) => before.includes(pod));
  await until(pending, (left) => left.length === 0, { what: "every pod is a new one", deadlineMs: 900_000 });
  await load.end((line) => t.diagnostic(line));
});

test("a leader that is told to end hands over at once", async (t) => {
  const leader = await leaderWithStandby(first);
  const atMs = Date.now();
  await place.sites.kubectl(first, ["-n", namespace, "delete", "pod", leader.name, "--wait=false"]);
  const next = await leaderSince(place, first, atMs, leader.uid);
  t.diagnostic(`${next.leader?.name} leads ${next.afterMs} ms after ${leader.name} was told to end`);
  assert.ok(next.afterMs <= failoverMs / 2);
});

test("a right that is taken from the operators of a site is told, its nodes serve on, and given back it goes on by itself", async (t) => {
  const load = await underLoad(place, fleet, "right");
  t.after(() => load.cancel());
  const giveBack = await takeRight(first, { role: "keyfleet-operator", resource: "pods" });
  await startOperatorsAnew(first);
  await waitUntilTold(place, first, {
    status: /waiting: the operator may not look at objects of kind Pod/,
    remedy: /rights of the chart's Role/,
  });
  await giveBack();
  await waitUntilContent(place);
  await load.end((line) => t.diagnostic(line));
});

test("a site that lets another one read no more is told there, and reached again as soon as it does", async () => {
  const giveBack = await takeRight(second, { role: "keyfleet-peer", resource: "kmsnodes" });
  await startOperatorsAnew(first);
  await waitUntilTold(place, first, {
    status: new RegExp(`${second} does not let us read KmsClusters \\(403\\)`),
    remedy: /use the account keyfleet-peer of its chart/,
  });
  await giveBack();
  await waitForAllServing(place, { deadlineMs: 60_000 });
});

/** Takes the rule with a resource out of a Role; answers what puts it back. */
async function takeRight(site: string, { role, resource }: { role: string; resource: string }) {
  const { rules } = await objectAt<Role>(place, site, "roles", role);
  const index = rules.findIndex(({ resources, verbs }) => resources.includes(resource) && verbs.includes("list"));
  const patch = async (change: object) => {
    const words = ["-n", namespace, "patch", "role", role, "--type=json", "-p", JSON.stringify([change])];
    await place.sites.kubectl(site, words);
  };
  await patch({ op: "remove", path: `/rules/${index}` });
  return () => patch({ op: "add", path: `/rules/${index}`, value: rules[index] ?? {} });
}

/** The API server lets a watch that is open go on for minutes. */
async function startOperatorsAnew(site: string): Promise<void> {
  const operators = (await operatorsAt(place, site)).map(({ name }) => name);
  await place.sites.kubectl(site, ["-n", namespace, "delete", "pod", ...operators, "--wait=false"]);
}

interface Role {
  readonly rules: readonly { readonly resources: readonly string[]; readonly verbs: readonly string[] }[];
}

/** The leader of a site where another operator stands by: without one there is nobody to take over. */
async function leaderWithStandby(site: string): Promise<OperatorPod> {
  let leader = await leaderAt(place, site);
  const look = async () => {
    leader = await leaderAt(place, site);
    const roles = await Promise.all((await operatorsAt(place, site)).map((pod) => roleOf(place, pod)));
    return roles.map((role) => role.replace(leader.uid, "the other")).sort();
  };
  const done = (roles: string[]) => JSON.stringify(roles) === '["leads","stands by; the other leads"]';
  await until(look, done, { what: `${site} has a leader and a standby`, deadlineMs: 180_000 });
  return leader;
}

/** The leader of a site that holds the fleet lock, with another that stands by. */
async function workingLeader(): Promise<OperatorPod> {
  const working = async () => {
    const site = await lockHolder(place, first);
    return site === undefined ? undefined : await leaderWithStandby(site);
  };
  const what = { what: "a site works on the fleet", deadlineMs: 240_000, everyMs: 100 };
  return (await until(working, (leader) => leader !== undefined, what)) as OperatorPod;
}

/** Every node of the first site with its pod's identifier. */
async function podsOf(): Promise<string[]> {
  const nodes = await nodesAt(place, first);
  return Promise.all(
    nodes.map(async ({ metadata, spec }) => {
      const words = ["-n", namespace, "get", "pod", `${metadata.name}-0`, "--ignore-not-found"];
      return `${metadata.name} ${(await place.sites.kubectl(spec.site, [...words, "-o", "jsonpath={.metadata.uid}"])).stdout}`;
    }),
  );
}
