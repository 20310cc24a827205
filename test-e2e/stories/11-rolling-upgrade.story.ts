import "./instance.ts";

import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { KmsNode } from "@keyfleet/crds/kms-node.ts";
import { until } from "../fleet/await.ts";
import { editDocument } from "../fleet/document.ts";
import { allNodes } from "../fleet/fleet.ts";
import { underLoad } from "../fleet/load.ts";
import { namespace } from "../fleet/places.ts";
import { watchUpgrade } from "../fleet/upgrade-times.ts";
import { nextVersion } from "../sites/next-version.ts";
import { aRunningFleet, type Fleet, first, last, place } from "./world.ts";

const soakSeconds = 2;
/** What operators that look at once when a node has soaked stay far below, and those that wait for a timer do not. */
const mostBetweenMs = 2_000;
let fleet: Fleet;
let old = "";
let next = "";
before(async () => {
  fleet = await aRunningFleet();
  old = fleet.nodes[0]?.status?.version ?? "";
  next = nextVersion(old);
});

test("an upgrade is taken back in its middle, and no request of a client with three endpoints fails", async (t) => {
  const load = await underLoad(place, fleet, "rollback");
  t.after(() => load.cancel());
  await wantVersion(first, next);
  await versions((seen) => seen.filter((version) => version === next).length >= 2, `two nodes run ${next}`);
  await wantVersion(last, old);
  await versions((seen) => seen.every((version) => version === old), `all nodes run ${old} again`);
  await load.end((line) => t.diagnostic(line));
});

test("six nodes are upgraded one at a time, then write what only the new version knows, and no request fails", async (t) => {
  const load = await underLoad(place, fleet, "upgrade");
  t.after(() => load.cancel());
  // A node whose upgrade was taken back has the table already, and nothing may be in it.
  assert.match(await notesOf(fleet.nodes[0]), /^(no table|0)$/);
  const upgrade = watchUpgrade(place, next, soakSeconds);
  t.after(() => upgrade.stop());
  await wantVersion(last, next);
  await versions((seen) => seen.every((version) => version === next), `all nodes run ${next}`);
  const { nodesMs, betweenMs } = upgrade.times();
  t.diagnostic(`a node's own time ${inSeconds(nodesMs)}, the operators' between two nodes ${inSeconds(betweenMs)}`);
  // The median, because on a machine that is busy a single look may come late without the operators' doing.
  assert.ok(betweenMs.length >= fleet.nodes.length - 2, `seen between two nodes: ${inSeconds(betweenMs)}`);
  assert.ok(median(betweenMs) <= mostBetweenMs, `the operators take ${inSeconds(betweenMs)} between two nodes`);
  const levels = async () => (await allNodes(place)).map(({ status }) => status?.featureLevel);
  const raised = (seen: unknown[]) => seen.every((level) => level === next);
  await until(levels, raised, { what: `every node writes at level ${next}`, deadlineMs: 120_000 });
  await load.more(60);
  await load.end((line) => t.diagnostic(line));
  const notes = await Promise.all(fleet.nodes.map((node) => notesOf(node)));
  assert.ok(Number(notes[0]) >= 60, `notes: ${notes}`);
  assert.equal(new Set(notes).size, 1, `every node holds the same notes: ${notes}`);
});

async function wantVersion(site: string, version: string): Promise<void> {
  await editDocument(place, site, (spec) => {
    spec.version = version;
    spec.upgrade = { ...spec.upgrade, soakSeconds };
  });
}

function median(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.POSITIVE_INFINITY;
}

function inSeconds(times: readonly number[]): string {
  return `${times.map((ms) => (ms / 1000).toFixed(1)).join(", ")} s`;
}

async function versions(done: (seen: string[]) => boolean, what: string): Promise<void> {
  const look = async () => (await allNodes(place)).map(({ status }) => status?.version ?? "");
  await until(look, done, { what, deadlineMs: 900_000 });
}

/** How many notes a node keeps in the table that only the next version has. */
async function notesOf(node: KmsNode | undefined): Promise<string> {
  assert.ok(node);
  const psql = ["psql", "-h", "/run/keyfleet/postgres", "-U", "keyfleet", "-d", "keyfleet", "-Atc"];
  const words = ["-n", namespace, "exec", `${node.metadata.name}-0`, "-c", "postgres", "--", ...psql];
  const asks = async (text: string) => (await place.sites.kubectl(node.spec.site, [...words, text])).stdout.trim();
  if ((await asks("select to_regclass('keyfleet.notes')")) === "") return "no table";
  return asks("select count(*) from keyfleet.notes");
}
