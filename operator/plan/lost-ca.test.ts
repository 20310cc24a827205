import assert from "node:assert/strict";
import { test } from "node:test";
import { signNodeCertificate } from "../act/certificates.ts";
import { isCaOfSite, makeSiteCa, type SiteCa } from "../act/site-ca.ts";
import { siteCaName } from "../desired/ca-secrets.ts";
import { certificateFacts } from "../desired/certificates.ts";
import { newCaAnnotation } from "../desired/consent.ts";
import { desiredObjects } from "../desired/desired.ts";
import type { KmsCluster, KubernetesObject } from "../ports/types.ts";
import { fleetStatus } from "../status/fleet-status.ts";
import { aCluster, aNode, anObserved, inWords, nowMs, type WorldInTest } from "../testing/builders.ts";
import { requestsFor } from "../testing/certificate-requests.ts";
import { planNext } from "./plan.ts";

const yearMs = 365 * 24 * 3600_000;
const owner = { cluster: "bank", site: "dc1" };
const first = siteCaName("bank");
const [old, other, next, ofDc2] = await Promise.all([
  makeSiteCa(owner, nowMs),
  makeSiteCa(owner, nowMs),
  makeSiteCa(owner, nowMs + 9.1 * yearMs),
  makeSiteCa({ ...owner, site: "dc2" }, nowMs),
]);
const id = ({ certificate }: SiteCa) => certificateFacts(certificate)?.fingerprint ?? "";
const requests = requestsFor(aCluster());

/** A node of dc1 with a certificate of that CA. */
async function signedBy(ca: SiteCa, name: string, atMs: number) {
  const certificateRequest = requests.get(name) ?? "";
  const node = aNode(name, "dc1", { stage: "member", status: { certificateRequest } });
  return await signNodeCertificate(node, ca, atMs);
}
const chains = new Map(
  await Promise.all(
    [old, other, next].map(async (ca) => {
      const of = (name: string, at: number) => signedBy(ca, name, nowMs + at);
      return [ca, { a: await of("dc1-a", 0), b: await of("dc1-b", 3600_000) }] as const;
    }),
  ),
);

/** What is there: CAs in Secrets by their names, whose certificates nodes have, and what was consented to. */
interface Scene {
  readonly secrets?: Readonly<Record<string, SiteCa | "empty">>;
  readonly used?: SiteCa;
  /** What the status of this site's copy tells of its CA. */
  readonly published?: readonly SiteCa[];
  /** Fingerprints, and in which site's copy of the document they stand; dc1 when absent. */
  readonly consent?: string;
  readonly consentIn?: string;
  readonly years?: number;
  readonly world?: WorldInTest;
}

function worldOf({ secrets = {}, used, published, consent, consentIn = "dc1", years = 0, world = {} }: Scene) {
  const chain = used === undefined ? undefined : chains.get(used);
  const annotated = (site: string) => (cluster: KmsCluster) => {
    if (consent !== undefined && consentIn === site) cluster.metadata.annotations = { [newCaAnnotation]: consent };
    const caCertificate = published?.map(({ certificate }) => certificate).join("\n");
    if (caCertificate !== undefined) cluster.status = { siteStatus: [{ name: "dc1", reachable: true, caCertificate }] };
  };
  const member = (certificateChain: string) => ({ stage: "member", spec: { certificateChain } }) as const;
  const nodes = chain === undefined ? {} : { "dc1-a": member(chain.a), "dc1-b": member(chain.b) };
  return {
    ...{ cluster: aCluster(annotated("dc1")), copies: { dc2: aCluster(annotated("dc2")) }, nodes },
    ...{ nowMs: nowMs + years * yearMs, settled: false, objects: () => Object.entries(secrets).map(aSecret) },
    ...world,
  };
}

function aSecret([name, ca]: readonly [string, SiteCa | "empty"]): KubernetesObject {
  const data = ca === "empty" ? {} : { "tls.crt": Buffer.from(ca.certificate).toString("base64") };
  return { apiVersion: "v1", kind: "Secret", metadata: { name }, data };
}

/** What is done about the CA, what is told of it, and who is trusted, of a scene. */
function outcome(scene: Scene) {
  const observed = anObserved(worldOf(scene));
  const desired = desiredObjects(observed, { image: { repository: "node", pullPolicy: "Never" }, isCaOfSite });
  const differs = ({ spec }: { spec: { certificateChain?: string } }, ca: string) =>
    spec.certificateChain?.includes(ca) ? undefined : "the CA of the site changed";
  const plan = planNext(desired, observed, differs);
  const view = { observed, desired, certificateNeed: differs };
  return {
    does: [...new Set(inWords(plan).does.filter((one) => /CA|^sign dc1-a/.test(one)))],
    told: plan.blocked.filter(({ gate, subject }) => gate === "certificateIssued" && !subject.startsWith("dc1-")),
    trusted: desired.cas.get("dc1") ?? "",
    status: fleetStatus(view, plan),
  };
}

const newcomers = { others: "waiting", nodes: { "dc1-a": "waiting" } } as const;
const bothDone = { consent: id(old), used: old } as const;

/** What becomes of the site's CA: what is made or signed, and what is told. */
const rows: readonly (readonly [sentence: string, scene: Scene, does: string[], told: RegExp | undefined])[] = [
  ["a new fleet makes its first CA", { world: newcomers }, ["make CA"], undefined],
  [
    "a new site of an old fleet makes its first CA",
    { world: { nodes: { "dc1-a": "new", "dc1-b": "new" } } },
    ["make CA"],
    undefined,
  ],
  [
    "a site that was built anew from nothing makes its CA, whatever others knew of it",
    { world: { nodes: { "dc1-a": "new", "dc1-b": "new" }, copies: { dc2: worldOf({ published: [old] }).cluster } } },
    ["make CA"],
    undefined,
  ],
  ["none is made in place of one that signed what nodes use", { used: old }, [], /holds the CA \w{16} of site dc1/],
  [
    "nor where the nodes were deleted as well, while the status knows of it",
    { published: [old], world: { nodes: { "dc1-a": "new", "dc1-b": "new" } } },
    [],
    /holds the CA \w{16} of site dc1/,
  ],
  ["a consent to the loss of another one is none", { used: old, consent: id(other) }, [], /no Secret labelled/],
  ["it is made by consent", { used: old, consent: id(old) }, ["make CA"], undefined],
  [
    "also by one that stands in another site's copy, beside others",
    { used: old, consent: `${id(other)}, ${id(old).toUpperCase()}`, consentIn: "dc2" },
    ["make CA"],
    undefined,
  ],
  [
    "what was made by consent signs",
    { used: old, published: [old], consent: id(old), secrets: { [first]: other } },
    ["sign dc1-a"],
    undefined,
  ],
  [
    "and the consent does not make a third when that one is lost too",
    { used: other, published: [other], consent: id(old) },
    [],
    /no Secret labelled/,
  ],
  [
    "all goes on when the Secret is put back",
    { used: old, published: [old], secrets: { [first]: old } },
    [],
    undefined,
  ],
  [
    "one that was given up and is put back is told, because the consent is still there",
    { used: old, consent: id(old), secrets: { [first]: old } },
    [],
    /gives up the CA \w{16}, which Secret keyfleet-bank-ca holds/,
  ],
  [
    "another CA that somebody puts into its place signs",
    { used: old, published: [old], secrets: { [first]: other } },
    ["sign dc1-a"],
    undefined,
  ],
  [
    "but not that of another site",
    { used: old, published: [old], secrets: { [first]: ofDc2 } },
    [],
    /has a tls\.crt that is no CA of site dc1 alone/,
  ],
  ["a Secret that was emptied is never replaced", { ...bothDone, secrets: { [first]: "empty" } }, [], /has no certif/],
  [
    "the first one is lost while its next waits: that does not sign before its turn",
    { used: old, published: [old, next], secrets: { [`${first}-2`]: next }, years: 9.3 },
    [],
    /no Secret labelled/,
  ],
  [
    "by consent it does",
    { used: old, published: [old, next], secrets: { [`${first}-2`]: next }, years: 9.3, consent: id(old) },
    ["sign dc1-a"],
    undefined,
  ],
  [
    "and half a year before the end of the lost one",
    { used: old, published: [old, next], secrets: { [`${first}-2`]: next }, years: 9.6 },
    ["sign dc1-a"],
    /no Secret labelled/,
  ],
  [
    "the next one is lost before its turn: the first goes on, and no third is made",
    { used: old, published: [old, next], secrets: { [first]: old }, years: 9.3 },
    [],
    /no Secret labelled/,
  ],
  [
    "by consent it is",
    { used: old, published: [old, next], secrets: { [first]: old }, years: 9.3, consent: id(next) },
    ["make CA"],
    undefined,
  ],
  [
    "the next one is lost after its turn: the first does not sign again",
    { used: next, published: [old, next], secrets: { [first]: old }, years: 9.7 },
    [],
    /no Secret labelled/,
  ],
  ["one that has ended is not missed", { used: old, published: [old], years: 10.1 }, ["make CA"], undefined],
];

for (const [sentence, scene, does, told] of rows)
  test(`${sentence}`, () => {
    const found = outcome(scene);
    assert.deepEqual(found.does, does);
    assert.equal(found.told.length > 0, told !== undefined, JSON.stringify(found.told));
    if (told !== undefined) assert.match(found.told.map(({ message }) => message).join(), told);
  });

/** Whom the nodes of the site trust as its CA. */
const trust: readonly (readonly [sentence: string, scene: Scene, trusted: readonly SiteCa[]])[] = [
  ["that is lost", { used: old }, [old]],
  ["that is lost, beside its next", { used: old, secrets: { [`${first}-2`]: next }, years: 9.3 }, [old, next]],
  ["whose Secret was emptied", { used: old, secrets: { [first]: "empty" } }, [old]],
  ["in whose place another site's was put", { used: old, secrets: { [first]: ofDc2 } }, [old]],
  ["in whose place another one was put: that one", { used: old, secrets: { [first]: other } }, [other]],
  ["that somebody gave up (a thief may have it): the new one", { ...bothDone, secrets: { [first]: other } }, [other]],
];
for (const [sentence, scene, trusted] of trust)
  test(`nodes of the site trust each other by a CA ${sentence}`, () => {
    const expected = trusted.map(({ certificate }) => certificate.trim()).join("\n");
    assert.equal(outcome(scene).trusted, expected);
    const status = outcome(scene).status.siteStatus?.find(({ name }) => name === "dc1");
    assert.equal(status?.caCertificate, expected, "and so do the other sites");
  });

const annotate = `kubectl -n keyfleet annotate --overwrite kms bank ${newCaAnnotation}=${id(old)}`;
const remove = `kubectl -n keyfleet delete secret ${first}`;
const remedies: readonly (readonly [sentence: string, scene: Scene, remedy: string])[] = [
  ["a lost one", { used: old }, `only if nobody has it: ${annotate}; then a new CA is made`],
  [
    "one whose Secret was emptied",
    { used: old, secrets: { [first]: "empty" } },
    `only if nobody has it: ${remove}, and ${annotate}; then a new CA is made`,
  ],
  [
    "one in whose place another site's was put",
    { used: old, secrets: { [first]: ofDc2 } },
    `only if nobody has it: ${remove}, and ${annotate}; then a new CA is made`,
  ],
  [
    "one that a clock days ahead made",
    { used: old, secrets: { [first]: old }, years: -0.01 },
    `if they are: ${remove}, and ${annotate}; then a new CA is made`,
  ],
  [
    "one by which nothing was signed and that nobody knows, and that was emptied",
    { secrets: { [first]: "empty" }, world: newcomers },
    `only if nobody has it: ${remove}; then a new CA is made`,
  ],
];
for (const [sentence, scene, remedy] of remedies)
  test(`the remedy for ${sentence} names each step`, () => {
    const { told } = outcome(scene);
    assert.ok(told.length > 0);
    for (const one of told) assert.ok(one.remedy.includes(remedy) && one.remedy.length <= 512, one.remedy);
  });

test("a lost CA is told in all sites, with the time that is left, word for word the same an hour later", () => {
  const { told, status } = outcome({ used: old, published: [old] });
  assert.equal(told[0]?.subject, "dc1");
  assert.match(told[0]?.message ?? "", /of which that of dc1-a ends first: 2026-03-31T12:00:00\.000Z$/);
  const again = { ...worldOf({ used: old }), nowMs: nowMs + 3_600_000 };
  const later = outcome({ world: { ...again, cluster: { ...again.cluster, status } } });
  const ofCa = ({ blockedBy = [] }: typeof status) => blockedBy.filter(({ subject }) => subject === "dc1");
  assert.deepEqual([ofCa(status).length, ofCa(later.status)], [1, ofCa(status)]);
  const copies = { dc1: { ...aCluster(), status } };
  const { status: elsewhere } = outcome({
    world: { site: "dc2", copies, nodes: {}, objects: () => [aSecret([first, ofDc2])] },
  });
  assert.ok(elsewhere.blockedBy?.some(({ gate, subject }) => gate === "certificateIssued" && subject === "dc1"));
});
