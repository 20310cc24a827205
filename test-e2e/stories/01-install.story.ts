import "./instance.ts";

import assert from "node:assert/strict";
import { test } from "node:test";
import { applyDocument, editDocument, exampleDocument, waitForCopies } from "../fleet/document.ts";
import { waitForAllServing } from "../fleet/fleet.ts";
import { installOperators } from "../fleet/install.ts";
import { ask } from "../fleet/kmip-clients.ts";
import { waitUntilTold } from "../fleet/say.ts";
import { type Watch, watchMemberships } from "../fleet/watch.ts";
import { emptySites, first, place, theFleet } from "./world.ts";

test("an operator is installed in each site by Helm", async () => {
  await emptySites();
  await installOperators(place);
});

test("a version whose image is missing is told, and correcting it is enough", async () => {
  const document = exampleDocument(place);
  await applyDocument(place, first, { ...document, spec: { ...document.spec, version: "0.0.9" } });
  await waitUntilTold(place, first, { status: /image missing/, remedy: /correct spec\.version/, deadlineMs: 90_000 });
  await editDocument(place, first, (spec) => {
    spec.version = document.spec.version;
  });
});

test("the document applied in one site makes six nodes that join one by one", async (t) => {
  const watches = place.sites.names.map((site) => watchMemberships(place, site));
  t.after(() => watches.map((watch) => watch.stop()));
  await waitForCopies(place);
  await waitForAllServing(place, { deadlineMs: 300_000 });
  const steps = inOrder(watches);
  assert.equal(steps.filter(({ action }) => action === "Found").length, 1, JSON.stringify(steps));
  assert.deepEqual(joinedTogether(steps), [], JSON.stringify(steps));
  assert.equal(new Set(steps.filter(({ action }) => action === "Join").map(({ node }) => node)).size, 5);
});

for (const client of ["PyKMIP", "kmip-go"] as const) {
  test(`${client} takes a key through its life on every node`, async () => {
    const { call, endpoints } = await theFleet();
    for (const [node, endpoint] of endpoints) {
      const say = (...words: string[]) => ask(place, { ...call, client, endpoints: [endpoint] }, words);
      const name = `life-${client}-${node}`;
      const [made] = await say("--name", name, "create");
      const id = made?.id ?? "";
      assert.match(made?.digest ?? JSON.stringify(made), /^[0-9a-f]{64}$/);
      assert.deepEqual(await say("--id", id, "get"), [{ id, digest: made?.digest }]);
      assert.deepEqual(await say("--name", name, "locate"), [{ id }]);
      assert.ok((await say("--id", id, "attributes"))[0]?.attributes?.includes("Cryptographic Algorithm"));
      for (const step of ["activate", "revoke", "destroy"])
        assert.deepEqual(await say("--id", id, step), [{ id, done: step }]);
      assert.match((await say("--id", id, "get"))[0]?.error ?? "no error", /destroyed|not found|denied/i);
    }
  });
}

/** What the nodes were told, in the order in which it was seen; the first word on each node is what it began with. */
function inOrder(watches: readonly Watch[]): { node: string; action: string }[] {
  const sights = watches.flatMap(({ seen }) => seen).sort((a, b) => a.atMs - b.atMs);
  const last = new Map<string, string>();
  return sights.flatMap(({ line }) => {
    const [node = "", action = ""] = line.split(" ");
    const same = last.get(node) === action;
    last.set(node, action);
    return same ? [] : [{ node, action }];
  });
}

/** Pairs of nodes that were told to join at the same time. */
function joinedTogether(steps: readonly { node: string; action: string }[]): string[] {
  const joining = new Set<string>();
  return steps.flatMap(({ node, action }) => {
    if (action !== "Join") joining.delete(node);
    const others = action === "Join" ? [...joining].map((other) => `${node} while ${other}`) : [];
    if (action === "Join") joining.add(node);
    return others;
  });
}
