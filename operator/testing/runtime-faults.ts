import type { Kind } from "../ports/kinds.ts";
import type { KubernetesObject } from "../ports/types.ts";
import type { Misbehaviour } from "./api-faults.ts";
import type { FakeCluster } from "./fake-cluster.ts";
import { anObject } from "./fake-cluster.ts";
import type { Asked } from "./fake-transport.ts";
import { type FaultySites, siteNames } from "./faulty-sites.ts";
import { toGo } from "./operator-under-faults.ts";
import { pick } from "./random.ts";

/** Something that happens at once or begins, and what it is called in a failure. */
export interface Happening {
  readonly what: string;
  readonly begin: () => void;
}

const misbehaviours: readonly Misbehaviour[] = [
  ...(["401", "403", "404", "409", "410", "429", "500", "503"] as const),
  ...(["garbled", "hangs", "slow", "late", "lost", "refused", "ends", "error event", "garbled event"] as const),
];
const verbs: readonly Asked["verb"][] = ["probe", "list", "watch", "get", "create", "update", "apply", "delete"];
const kinds: readonly Kind[] = ["KmsCluster", "KmsNode", "Secret", "Pod", "Service", "Lease", "StatefulSet"];

/** One of all that may go wrong in sites. */
export function aHappening(sites: FaultySites, random: () => number): Happening {
  const rare = [failingWrites, aReturn, aReturn, aBreak, aTheft, aJump, aWish, aCompaction];
  const kindsOf = [[aFault], [aFault], [anEdit, aSecret], rare];
  return pick(random, pick(random, kindsOf))(sites, random);
}

/** Calls of some kind are answered amiss for a while; what is open may be lost at that. */
export function aFault(sites: FaultySites, random: () => number): Happening {
  const of = someCalls(random);
  const what = pick(random, misbehaviours);
  const durationMs = Math.round(50 * 800 ** random());
  const breaks = random() < 0.6;
  const begin = () => {
    sites.faults = [...sites.faults, { what, of: of.which, untilMs: sites.clock.monotonicMs() + durationMs }];
    if (breaks) breakStreams(sites, of.which);
  };
  return { what: `${what} for ${of.name}, ${durationMs} ms${breaks ? ", streams break" : ""}`, begin };
}

/** What a site's operator made is deleted while nothing can be written there, so that it has to try again and again. */
function failingWrites(sites: FaultySites, random: () => number): Happening {
  const site = pick(random, siteNames);
  const what = pick(random, misbehaviours);
  const durationMs = Math.round(random() * 20_000);
  const of = ({ to, verb }: Asked) => to === site && ["create", "update", "apply", "delete"].includes(verb);
  const begin = () => {
    sites.faults = [...sites.faults, { what, of, untilMs: sites.clock.monotonicMs() + durationMs }];
    sites.server(site).drop("Service", `bank-${site}`);
  };
  return { what: `the Service of ${site} goes, writes there: ${what} for ${durationMs} ms`, begin };
}

/** A site is away, and when it is back its API server answers before it has read who may do what. */
function aReturn(sites: FaultySites, random: () => number): Happening {
  const site = pick(random, siteNames);
  const [awayMs, unreadyMs] = [Math.round(random() * 6_000), Math.round(random() * 6_000)];
  const isThere = ({ to }: Asked) => to === site;
  const isRefused = ({ to, verb }: Asked) => to === site && verb !== "probe";
  const begin = () => {
    const backAtMs = sites.clock.monotonicMs() + awayMs;
    sites.faults = [
      ...sites.faults,
      { what: "refused", of: isThere, untilMs: backAtMs },
      { what: "403", of: isRefused, untilMs: backAtMs + unreadyMs },
    ];
    breakStreams(sites, isThere);
  };
  return { what: `${site} is away for ${awayMs} ms, and refuses all but probes for ${unreadyMs} ms`, begin };
}

/** Open watches of some kind get nothing any more, and new ones neither for a while. */
export function aStall(sites: FaultySites, random: () => number): Happening {
  const of = someCalls(random);
  const durationMs = Math.round(random() * 20_000);
  const begin = () => {
    sites.faults = [...sites.faults, { what: "stalls", of: of.which, untilMs: sites.clock.monotonicMs() + durationMs }];
    for (const { transports } of sites.operators) for (const one of transports) one.stallStreams(of.which);
  };
  return { what: `watches stall for ${of.name}, ${durationMs} ms`, begin };
}

/** A site is set back to a backup of its etcd; its API server is away for a while meanwhile, or for a moment only. */
export function aRestore(sites: FaultySites, random: () => number): Happening {
  const site = pick(random, siteNames);
  const server = sites.server(site);
  const backup = server.backup();
  const awayMs = pick(random, [0, 0, 300, 3_000]);
  const begin = () => {
    sites.faults = [
      ...sites.faults,
      { what: "refused", of: ({ to }) => to === site, untilMs: sites.clock.monotonicMs() + awayMs },
    ];
    breakStreams(sites, ({ to }) => to === site);
    server.restore(backup);
  };
  return { what: `${site} is restored from version ${backup.version}, away for ${awayMs} ms`, begin };
}

function someCalls(random: () => number): { readonly name: string; readonly which: (asked: Asked) => boolean } {
  const to = pick(random, siteNames);
  const from = pick(random, [undefined, undefined, "dc1", "dc2"]);
  const only = pick(random, [
    verbs,
    verbs,
    ["watch"],
    ["list"],
    ["list", "watch"],
    ["probe"],
    verbs.slice(1),
    [pick(random, verbs)],
  ]);
  const kind = pick(random, [undefined, pick(random, kinds)]);
  const isFlaky = random() < 0.3;
  return {
    name: `${only.length === verbs.length ? "any" : only.join(", ")} ${kind ?? "kind"} ${from ?? "all"} to ${to}${isFlaky ? ", now and then" : ""}`,
    which: (asked) =>
      asked.to === to &&
      (from === undefined || asked.from === from) &&
      (only as readonly string[]).includes(asked.verb) &&
      (kind === undefined || asked.kind === kind) &&
      (!isFlaky || random() < 0.5),
  };
}

function aBreak(sites: FaultySites, random: () => number): Happening {
  const of = someCalls(random);
  return { what: `streams break for ${of.name}`, begin: () => breakStreams(sites, of.which) };
}

function aCompaction(sites: FaultySites, random: () => number): Happening {
  const site = pick(random, siteNames);
  return { what: `${site} is compacted`, begin: () => sites.server(site).compact() };
}

function breakStreams(sites: FaultySites, which: (asked: Asked) => boolean): void {
  for (const { transports } of sites.operators) for (const one of transports) one.breakStreams(which);
}

function anEdit(sites: FaultySites, random: () => number): Happening {
  const site = pick(random, siteNames);
  const server = sites.server(site);
  const [what, edit] = pick(random, edits);
  const nth = Math.floor(random() * 1_000);
  return { what: `${site}: ${what}`, begin: () => edit(server, site, nth) };
}

const labels = { "keyfleet.io/cluster": "bank" };
const edits: readonly (readonly [string, (server: FakeCluster, site: string, nth: number) => void])[] = [
  ["another version in the document", (server, _, nth) => setVersion(server, `0.1.${nth}`)],
  ["another version in the document", (server, _, nth) => setVersion(server, `0.1.${nth}`)],
  ["a node says something else", (server, site, nth) => say(server, `${site}-a`, nth)],
  ["a node goes", (server, site) => server.drop("KmsNode", `${site}-b`)],
  ["a pod comes", (server, _, nth) => void server.put(anObject("Pod", `pod-${nth % 3}`, { metadata: { labels } }))],
  ["a pod goes", (server, _, nth) => server.drop("Pod", `pod-${nth % 3}`)],
  [
    "a pod is to go",
    (server, _, nth) =>
      void server.put(anObject("Pod", `pod-${nth % 3}`, { metadata: { labels: { ...labels, [toGo]: "yes" } } })),
  ],
  ["the PIN goes", (server) => server.drop("Secret", "hsm-pin")],
  [
    "another PIN comes",
    (server, _, nth) => void server.put(anObject("Secret", "hsm-pin", { data: { [`pin${nth % 3}`]: "x" } })),
  ],
  ["the fleet's Lease goes", (server) => server.drop("Lease", "keyfleet-bank")],
];

function setVersion(server: FakeCluster, version: string): void {
  const cluster = server.peek("KmsCluster", "bank") as KubernetesObject | undefined;
  if (cluster !== undefined) server.put({ ...cluster, spec: { ...(cluster.spec as object), version } });
}

function say(server: FakeCluster, name: string, nth: number): void {
  const node = server.peek("KmsNode", name);
  if (node !== undefined) server.put({ ...node, status: { ...(node.status as object), observedGeneration: nth } });
}

function aSecret(sites: FaultySites, random: () => number): Happening {
  const site = pick(random, ["dc1", "dc2"]);
  const peer = pick(
    random,
    siteNames.filter((name) => name !== site),
  );
  const server = sites.server(site);
  const [what, begin] = pick<readonly [string, () => void]>(random, [
    ["is rotated", () => rotate(sites, site, peer)],
    ["goes", () => server.drop("Secret", `keyfleet-site-${peer}`)],
    ["is put back", () => sites.putSecret(site, peer)],
    ["is there twice", () => sites.putSecret(site, peer, `second-${peer}`)],
  ]);
  return { what: `kubeconfig for ${peer} in ${site} ${what}`, begin };
}

function rotate(sites: FaultySites, site: string, peer: string): void {
  sites.rotate(peer);
  sites.putSecret(site, peer);
}

function aTheft(sites: FaultySites, random: () => number): Happening {
  const site = pick(random, ["dc1", "dc2"]);
  const begin = () => {
    const lease = sites.server(site).peek("Lease", "keyfleet-operator");
    if (lease !== undefined) sites.server(site).put({ ...lease, spec: { holderIdentity: "another" } });
  };
  return { what: `another leads ${site}, and ends at once`, begin };
}

function aJump(sites: FaultySites, random: () => number): Happening {
  const ms = pick(random, [-1, 1]) * Math.round(1_000 * 9_000_000 ** random());
  return { what: `the clock jumps by ${ms} ms`, begin: () => sites.clock.jump(ms) };
}

function aWish(sites: FaultySites, random: () => number): Happening {
  const operator = pick(random, sites.operators);
  const begin = () => {
    operator.wantsLock = true;
  };
  return { what: `${operator.site} wants the fleet lock`, begin };
}
