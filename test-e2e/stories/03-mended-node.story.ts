import "./instance.ts";

import { after, before, test } from "node:test";
import { editDocument } from "../fleet/document.ts";
import { nodesAt, waitForAllServing } from "../fleet/fleet.ts";
import { pinSecret } from "../fleet/install.ts";
import { namespace } from "../fleet/places.ts";
import { waitUntilTold } from "../fleet/say.ts";
import { volumeByHand } from "../fleet/volumes.ts";
import { aRunningFleet, first, place } from "./world.ts";

/** A seventh node with everything wrong. One thing after the other is mended; each time the next one is told. */
const node = `${first}-c`;
const settings = {
  hsm: { pinSecretRef: { name: `${node}-pin` }, token: { label: node }, softToken: { initialise: false } },
  storage: { size: "1Gi", storageClassName: "by-hand" },
  ntp: { servers: [place.sites.timeServers[2] ?? ""] },
};
const pin = "314159265358";

before(async () => {
  await aRunningFleet();
  await place.sites.skewTime(5);
});

/** After a failure: the stories that follow need a fleet on which all nodes serve. */
after(async () => {
  await place.sites.skewTime(0);
  await givePin(pin);
  const joined = (await nodesAt(place, first)).some(
    ({ metadata, status }) => metadata.name === node && status?.clusterId,
  );
  if (joined) return;
  await editDocument(place, first, ({ sites }) => {
    for (const site of sites) site.nodes = site.nodes.filter(({ name }) => name !== node);
  });
});

test("a PIN Secret that is missing", async () => {
  await edit(() => {});
  await waitUntilTold(place, first, {
    status: new RegExp(`${node}: Secret ${node}-pin with the PIN is missing`),
    remedy: new RegExp(`kubectl -n ${namespace} create secret generic ${node}-pin`),
  });
  await givePin(pin);
});

test("storage that is not bound", async () => {
  await waitUntilTold(place, first, {
    status: new RegExp(`${node}: storage not bound`),
    remedy: /offer a PersistentVolume or a storage class/,
    deadlineMs: 90_000,
  });
  await volumeByHand(place, first, { className: "by-hand", size: "1Gi" });
});

test("a token that is not found", async () => {
  await waitUntilTold(place, first, {
    status: new RegExp(`${node}: .*token`),
    remedy: /correct the hsm settings/,
    deadlineMs: 90_000,
  });
  await edit((own) => {
    own.hsm = { ...own.hsm, softToken: { initialise: true } };
  });
});

test("a clock that is off", async () => {
  await waitUntilTold(place, first, {
    status: new RegExp(`${node} clock is off`),
    remedy: /set the clock of the machine, or correct ntp\.servers/,
    deadlineMs: 150_000,
  });
  await place.sites.skewTime(0);
});

test("then the node joins, and all seven serve", () => waitForAllServing(place, { deadlineMs: 180_000 }));

test("a wrong PIN, tried once only, and the right one", async () => {
  await givePin("000000000000");
  await place.sites.kubectl(first, ["-n", namespace, "delete", "pod", `${node}-0`]);
  await waitUntilTold(place, first, {
    status: new RegExp(`${node}.*PIN`),
    remedy: /PIN/,
    deadlineMs: 90_000,
  });
  await givePin(pin);
  await waitForAllServing(place, { deadlineMs: 120_000 });
});

async function edit(change: (own: typeof settings) => void): Promise<void> {
  const own = structuredClone(settings);
  change(own);
  await editDocument(place, first, (spec) => {
    const site = spec.sites.find(({ name }) => name === first);
    if (site === undefined) throw new Error(`the document has no site ${first}`);
    site.nodes = [...site.nodes.filter(({ name }) => name !== node), { name: node, settings: own }];
  });
}

async function givePin(value: string): Promise<void> {
  await place.sites.kubectl(first, ["apply", "-f", "-"], pinSecret(`${node}-pin`, value));
}
