import { viewOf } from "../desired/facts.ts";
import { resolvedSettings } from "../desired/settings.ts";
import { isLarger, storageMade } from "../desired/storage.ts";
import { clientBundle } from "../desired/trust.ts";
import { ailingMembers } from "./ailing.ts";
import { caComplaints } from "./ca-complaints.ts";
import { downMembers } from "./down.ts";
import { deletionComplaints } from "./ending.ts";
import { stalled } from "./finish.ts";
import { takeBack } from "./fleet-gates.ts";
import { goingVolume } from "./going-volume.ts";
import { unerased } from "./kept-volumes.ts";
import { returnedMembers } from "./remove.ts";
import { missingSecrets } from "./secrets.ts";
import type { Blocked, View } from "./types.ts";
import { wrongClock } from "./wrong-clock.ts";

/** What the specification asks for and this operator cannot do, whatever else goes on. Pure. */
export function complaints(view: View): Blocked[] {
  return [
    ...deletionComplaints(view),
    ...stalled(view),
    ...returnedMembers(view),
    ...lostSitesAnswer(view),
    ...unerased(view),
    ...storageUnchanged(view),
    ...missingBundles(view),
    ...view.desired.nodes.flatMap(({ facts }) => (facts.entry ? missingSecrets(view, facts) : [])),
    ...view.desired.nodes.flatMap(({ facts }) => (facts.entry ? goingVolume(view, facts) : [])),
    ...caComplaints(view),
    ...wrongClock(view),
    ...downMembers(view),
    ...ailingMembers(view),
    ...unknownSites(view),
  ];
}

function storageUnchanged(view: View): Blocked[] {
  return view.desired.nodes.flatMap(({ facts }): Blocked[] => {
    const made = storageMade(view.observed, facts.name);
    const wanted = resolvedSettings(view.observed.cluster, facts).storage;
    if (made === undefined) return [];
    const { storageClassName } = wanted;
    const otherClass = storageClassName !== undefined && storageClassName !== made.storageClassName;
    // A larger one grows; the API server says when it cannot.
    if (!otherClass && !isLarger(made.size, wanted.size)) return [];
    const what = otherClass ? "cannot move to another storage class" : "cannot shrink";
    const message = `its volume has ${made.size} and ${what}; the node goes on with it`;
    const remedy = `set storage of ${facts.name} back to ${made.size}, or add a node with another name`;
    return [{ gate: "storageUnchanged", subject: facts.name, message, remedy }];
  });
}

function missingBundles({ observed }: View): Blocked[] {
  return clientBundle(observed).missing.map(({ name, key, isTooMuch }) => ({
    gate: "referencesPresent",
    subject: `ConfigMap/${name}`,
    message: isTooMuch
      ? `the CA certificates of clients under key ${key} of ConfigMap ${name} in site ${observed.site} are more than a node takes (256 KiB with all others)`
      : `ConfigMap ${name} has no CA certificates of clients under key ${key} in site ${observed.site}`,
    remedy: isTooMuch
      ? "leave only those there that sign certificates of clients; nodes go on with those that they had"
      : "create it in every site, or take it out of spec.clients.caBundleRefs",
  }));
}

/** A site that was never seen: a slip of the pen, or its kubeconfig is missing. */
function unknownSites({ observed, desired }: View): Blocked[] {
  return observed.cluster.spec.sites
    .filter(
      ({ name }) =>
        name !== observed.site && desired.fleet.counting.includes(name) && viewOf(observed, name)?.ageMs === undefined,
    )
    .map(({ name }) => ({
      gate: "siteKnown",
      subject: name,
      message: `site ${name} was never reached${problemOf(viewOf(observed, name)?.problem)}`,
      remedy: `correct the name in spec.sites, or make the kubeconfig Secret labelled keyfleet.io/site: ${name}`,
    }));
}

/** Names of lost sites are for the time of the loss only: while one stands there, its site protects nothing. */
function lostSitesAnswer({ observed }: View): Blocked[] {
  const lost = observed.cluster.spec.recovery?.lostSites ?? [];
  return lost
    .filter((name) => viewOf(observed, name)?.reachable)
    .map((name) => ({
      gate: "siteCounts",
      subject: name,
      message: `site ${name} is named lost, but answers`,
      remedy: takeBack(name),
    }));
}

function problemOf(problem: string | undefined): string {
  return problem === undefined ? "" : `: ${problem}`;
}
