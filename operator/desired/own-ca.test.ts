import assert from "node:assert/strict";
import { before, test } from "node:test";
import { isCaOfSite, makeSiteCa } from "../act/site-ca.ts";
import type { KubernetesObject, Observed } from "../ports/types.ts";
import { aCluster, anObserved, nowMs, type WorldInTest } from "../testing/builders.ts";
import { ownCas } from "./ca-secrets.ts";
import { caToMake, signingCa } from "./own-ca.ts";
import { siteCas, trustBundle } from "./trust.ts";

const yearMs = 365 * 24 * 3600_000;
const first = "keyfleet-bank-ca";
let old: string;
let next: string;
let foreign: string;
before(async () => {
  old = (await makeSiteCa({ cluster: "bank", site: "dc1" }, nowMs)).certificate;
  next = (await makeSiteCa({ cluster: "bank", site: "dc1" }, nowMs + 9.1 * yearMs)).certificate;
  foreign = (await makeSiteCa({ cluster: "bank", site: "dc2" }, nowMs)).certificate;
});

function aSecret(name: string, pem: string): KubernetesObject {
  const data = { "tls.crt": Buffer.from(pem).toString("base64") };
  return { apiVersion: "v1", kind: "Secret", metadata: { name }, data };
}

/** The world so many years after the first CA was made, with these CAs, trusted by all nodes but those of `distrusting`. */
function after(years: number, cas: readonly string[], options: WorldInTest & { distrusting?: string } = {}): Observed {
  const names = [first, `${first}-2`];
  const secrets = cas.map((pem, at) => aSecret(names[at] ?? "", pem));
  const others = aSecret("keyfleet-bank-ca-of-somebody", foreign);
  const world = { ...options, nowMs: nowMs + years * yearMs };
  const observed = anObserved({
    ...world,
    objects: (all) => [...all.filter(({ kind }) => kind !== "Secret"), ...secrets, others],
  });
  const bundle = (site: string) => (site === options.distrusting ? old : `${old}\n${next}\n`);
  const trusting = observed.sites.map((view) => ({
    ...view,
    nodes: view.nodes.map((node) => ({ ...node, spec: { ...node.spec, trustBundle: bundle(view.name) } })),
  }));
  return { ...observed, sites: trusting };
}

test("the first CA is made at once, the next a year before its end, once", () => {
  assert.equal(caToMake(after(0, [])), first);
  assert.equal(caToMake(after(8.9, [old])), undefined);
  assert.equal(caToMake(after(9.1, [old])), `${first}-2`);
  assert.equal(caToMake(after(9.2, [old, next])), undefined);
});

const signers: readonly (readonly [string, () => Observed, () => string])[] = [
  ["the only one", () => after(1, [old]), () => old],
  ["the only one, however old, rather than none", () => after(9.9, [old]), () => old],
  ["the old one while clients are given the new one", () => after(9.3, [old, next]), () => old],
  ["the new one, half a year before the end of the old one", () => after(9.6, [old, next]), () => next],
  [
    "the old one while a node does not trust the new one",
    () => after(9.6, [old, next], { distrusting: "dc2" }),
    () => old,
  ],
  [
    "the new one when the site of that node is named lost",
    () =>
      after(9.6, [old, next], {
        distrusting: "dc2",
        cluster: aCluster(({ spec }) => (spec.recovery = { lostSites: ["dc2"] })),
      }),
    () => next,
  ],
  ["the new one after the end of the old one", () => after(10.1, [old, next], { distrusting: "dc2" }), () => next],
];
for (const [what, world, expected] of signers) {
  test(`certificates are signed by ${what}`, () => assert.equal(signingCa(world())?.pem, expected().trim()));
}

test("both CAs are trusted while both live, and the old one no longer", () => {
  const trusted = (observed: Observed) =>
    trustBundle(siteCas(observed, isCaOfSite)).match(/BEGIN CERTIFICATE/g)?.length;
  assert.equal(trusted(after(9.3, [old, next])), 2);
  assert.equal(trusted(after(10.1, [old, next])), 1);
  assert.deepEqual(
    ownCas(after(10.1, [old, next])).map(({ secret }) => secret),
    [`${first}-2`],
  );
});

test("of the CAs that a site publishes those that could speak for another site are left out", () => {
  const siteStatus = [{ name: "dc2", reachable: true, caCertificate: `${foreign}\n${old}` }];
  const copies = { dc2: { ...aCluster(), status: { siteStatus } } };
  const cas = siteCas(after(0, [old], { copies }), isCaOfSite);
  assert.equal(cas.get("dc2"), foreign.trim());
});
