import { isDeepStrictEqual } from "node:util";
import type { KubernetesObject, Observed } from "../ports/types.ts";
import { asKept } from "../runtime/kept-objects.ts";
import type { FakeCluster } from "./fake-cluster.ts";
import { type FaultySites, siteNames } from "./faulty-sites.ts";
import { type OperatorUnderFaults, toGo, wantedService } from "./operator-under-faults.ts";

/** Watches of an operator: nine kinds of its own objects, two of the fleet and peers' Secrets here; two in each peer. */
const watches = 12 + 2 * (siteNames.length - 1);
const kindsInOrder = ["PersistentVolumeClaim", "Pod", "Role", "Secret", "Service", "ServiceAccount"] as const;

/** What is not as it is without faults, in people's words; nothing when all is well. */
export async function wrongIn(sites: FaultySites): Promise<readonly string[]> {
  return (await Promise.all(sites.operators.map((operator) => wrongOf(operator, sites)))).flat();
}

/** Operators that have not had the fleet lock for as long as they wanted it. */
export function waitingForLock({ operators }: FaultySites): readonly string[] {
  return operators.filter(({ wantsLock }) => wantsLock).map(({ site }) => `${site} has not had the fleet lock`);
}

async function wrongOf(operator: OperatorUnderFaults, sites: FaultySites): Promise<readonly string[]> {
  const { site, work, ports, passes, open } = operator;
  if (work === undefined) return [`${site} does not lead`];
  if (!work.ready) return [`${site} is not ready, refused: ${work.refusedKinds().join()}`];
  const reached = work.sites().filter(({ reachable }) => reachable);
  if (reached.length < siteNames.length) return [`${site} reaches only ${reached.map((one) => one.site).join()}`];
  if (ports === undefined || passes === 0) return [`${site} has made no pass`];
  const observed = await ports.observe();
  if (observed === undefined) return [`${site} sees no document`];
  const differing = [...seenAndTrue(observed, sites), ...doneAndDue(observed, sites.server(site))].filter(
    ([, is, shouldBe]) => !isDeepStrictEqual(plain(is), plain(shouldBe)),
  );
  return [
    ...differing.map(([what, is, due]) => `${site}: ${what} is ${JSON.stringify(is)}, not ${JSON.stringify(due)}`),
    ...(open === watches ? [] : [`${site} has ${open} calls open, not ${watches}`]),
  ];
}

type Comparison = readonly [what: string, is: unknown, shouldBe: unknown];

/** What an operator sees, and what its caches should have of each API server. */
function seenAndTrue({ site, sites: views, cluster, objects, references }: Observed, sites: FaultySites): Comparison[] {
  const own = sites.server(site);
  const isOurs = ({ metadata }: KubernetesObject) => metadata.labels?.["keyfleet.io/cluster"] !== undefined;
  const pin = own.peek("Secret", "hsm-pin");
  return [
    ["the document", cluster, own.peek("KmsCluster", "bank")],
    ...views.flatMap(({ name, cluster: there, nodes }): Comparison[] => [
      [`the document of ${name}`, there, sites.server(name).peek("KmsCluster", "bank")],
      [`nodes of ${name}`, nodes, byName(sites.server(name).all("KmsNode"))],
    ]),
    ["its objects", objects, kindsInOrder.flatMap((kind) => byName(own.all(kind).filter(isOurs))).map(asKept)],
    ["the PIN", references.get("Secret/hsm-pin"), { present: pin !== undefined, keys: Object.keys(pin?.data ?? {}) }],
  ];
}

/** What an operator has done, and what it had to do: caches that are amiss keep it from that. */
function doneAndDue({ site, cluster }: Observed, own: FakeCluster): Comparison[] {
  const { version } = cluster.spec;
  const status = own.peek("KmsCluster", "bank")?.status as { readonly message?: string } | undefined;
  return [
    ["its Service", own.peek("Service", `bank-${site}`)?.spec, wantedService(site, version).spec],
    ["the status", status?.message, `at ${version}`],
    ["what was to go", own.all("Pod").filter(({ metadata }) => metadata.labels?.[toGo] !== undefined), []],
  ];
}

function byName(objects: readonly KubernetesObject[]): readonly KubernetesObject[] {
  return [...objects].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

/** As JSON carries it. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}
