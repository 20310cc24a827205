import { caMutants } from "./ca-mutants.ts";
import type { themes } from "./themes.ts";

/** A text of the code that is replaced by another. */
export interface Change {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** One gate taken out, or one promise broken: what, where, and the text that is replaced. */
export interface Mutant extends Change {
  readonly what: string;
  /** Taken out together with it: what covers for the gate as long as it is there. */
  readonly and?: Change;
  /** The schedules in which it does harm; all kinds when absent. */
  readonly theme?: keyof typeof themes;
  /** The test that notices it instead of schedules, which never or hardly ever come to where it does harm. */
  readonly test?: string;
  /** It is noticed so soon that each run of the unit tests can look. */
  readonly soon?: true;
  /** The first schedule, where it seldom does harm: one that is known to come to it; 1 when absent. */
  readonly from?: number;
}

const nothing = "return [];\n";
/** All of them. */
export const mutants: readonly Mutant[] = [
  {
    what: "one site is a majority",
    theme: "cuts",
    file: "runtime/lock-decision.ts",
    find: "return Math.floor(sites / 2) + 1;",
    replace: "return sites > 0 ? 1 : 1;",
  },
  {
    ...gate("siteCounts", ["plan/fleet-gates.ts", "mistakes"], "function siteCounts(view: View): Blocked[] {"),
    // Policies choose no node of a site that is named lost, so that its operator has nothing to do.
    and: { file: "plan/roll.ts", find: "node.counts && isManaged(node)", replace: "isManaged(node)" },
  },
  {
    ...gate("noOtherOperation", ["plan/fleet-gates.ts", "cuts"], "function noOtherOperation(view: View): Blocked[] {"),
    // The lock cannot be taken from whoever holds it.
    and: { file: "runtime/lock-decision.ts", find: 'unchangedMs >= leaseMs ? "free" : "taken"', replace: '"free"' },
  },
  {
    what: "fleetKeepsServing",
    soon: true,
    theme: "accidents",
    file: "plan/serving-gates.ts",
    find: "  if (others.length === 0) return closed(",
    replace: "  if (others.length >= 0) return [];\n  if (others.length === 0) return closed(",
  },
  gate("capacityKept", ["plan/leave.ts", "swaps"], "function capacityKept(view: View, node: NodeFacts): Blocked[] {"),
  gate("versionStep", ["plan/roll-gates.ts", "releases"], "export function versionStep(view: View): Blocked[] {"),
  gate("freshBackup", ["plan/fresh-backup.ts", "backups"], "export function freshBackup(view: View): Blocked[] {"),
  gate("approved", ["plan/roll-gates.ts", "releases"], "export function approved(view: View): Blocked[] {"),
  gate(
    "soaked before the level",
    ["plan/raise-level.ts", "soaks"],
    "function notReady(view: View, members: readonly NodeFacts[]): Blocked[] {",
  ),
  gate(
    "notPaused",
    ["plan/pause.ts", "releases"],
    "export function notPaused({ observed }: View, what: string): Blocked[] {",
  ),
  {
    what: "lastTouchedRecovered",
    soon: true,
    theme: "settings",
    file: "plan/lock.ts",
    find: "if (isAwaited && !hasRecovered(node)) {",
    replace: 'if (isAwaited && node.name === "" && !hasRecovered(node)) {',
  },
  {
    what: "the drain is waited for",
    theme: "removals",
    file: "plan/removal.ts",
    find: "  if (isDead(view, node)) return undefined;",
    replace: '  if (isDead(view, node) || view.observed.site !== "") return undefined;',
  },
  {
    what: "the members hold the same before a node has departed",
    theme: "farewells",
    file: "plan/removal.ts",
    find: "  const members = neededMembers(view);\n  const unaware",
    replace:
      '  if (view.observed.site !== "") return undefined;\n  const members = neededMembers(view);\n  const unaware',
  },
  {
    what: "settings wait for their turn",
    soon: true,
    theme: "settings",
    file: "desired/staging.ts",
    find: 'const keeps = facts.standing === "Member" && !turn',
    replace: 'const keeps = facts.standing === "Absent" && !turn',
  },
  {
    what: "settings wait also for a node that is only coming up",
    theme: "stumbles",
    file: "desired/staging.ts",
    find: "|| comesUp(observed, facts);",
    replace: "|| (facts.serving && comesUp(observed, facts));",
  },
  {
    what: "a node that did not come back is corrected under the lock",
    theme: "accidents",
    file: "plan/lock.ts",
    find: "return isRoll || !lagsVersion(view, node) ? correct(view, node) : undefined;",
    replace: 'return isRoll && node.name === "" ? correct(view, node) : undefined;',
  },
  {
    what: "nobody goes back in a list of members",
    theme: "removals",
    file: "desired/listed.ts",
    find: "const ahead = rankOf(before.standing) > rankOf(next.standing) ? before : next;",
    replace: "const ahead = next;",
  },
  {
    what: "a partial view shrinks no list",
    soon: true,
    file: "desired/members.ts",
    find: '.filter(({ standing }) => standing !== "Absent"',
    replace: '.filter(({ standing, siteReachable }) => siteReachable && standing !== "Absent"',
  },
  {
    what: "founded once: all sites seen",
    file: "plan/found.ts",
    find: "...closedFleetGates(view, candidate), ...unseenSites(view)",
    replace: '...(view.observed.site === "" ? [...closedFleetGates(view, candidate), ...unseenSites(view)] : [])',
  },
  {
    what: "a member that no peer reaches does not count as serving",
    theme: "accidents",
    file: "plan/serving-gates.ts",
    find: "return said.length > 0 && said.every(",
    replace: "return said.length < 0 && said.every(",
  },
  {
    what: "nobody is taken down while another is rebuilt",
    theme: "rebuilds",
    file: "plan/serving-gates.ts",
    find: "if (rebuilt.length > 0)",
    replace: "if (rebuilt.length < 0)",
  },
  {
    what: "a node that was taken out to be rebuilt comes back",
    theme: "rebuilds",
    file: "plan/node-gates.ts",
    find: "return node?.metadata.annotations?.[rebuildAnnotation] !== undefined && versionStep(view).length === 0;",
    replace: 'return node?.metadata.annotations?.[rebuildAnnotation] === "" && versionStep(view).length === 0;',
  },
  {
    what: "the end of a log rises to what a member holds",
    theme: "farewells",
    file: "desired/listed.ts",
    find: "const highest = Math.max(lastSequence, ...held);",
    replace: "const highest = Math.max(lastSequence, ...held.slice(held.length));",
  },
  {
    what: "a node that is not wanted any more does not hold the lock",
    theme: "drops",
    file: "plan/lock.ts",
    find: 'const isAwaited = node?.standing === "Member" && node.entry !== undefined && node.counts;',
    replace: 'const isAwaited = node?.standing === "Member" && node.counts;',
  },
  {
    what: "allSitesObserved",
    theme: "cuts",
    file: "plan/fleet-gates.ts",
    find: "return view.desired.fleet.counting.flatMap((name) => unseenSite(view, name));",
    replace: "return view.desired.fleet.counting.slice(99).flatMap((name) => unseenSite(view, name));",
  },
  gate("specAgrees", ["plan/fleet-gates.ts", "releases"], "function specAgrees(view: View): Blocked[] {"),
  gate(
    "windowOpen",
    ["plan/windows.ts", "windows"],
    "export function windowOpen(view: View, { name }: NodeFacts): Blocked[] {",
  ),
  gate(
    "soaked",
    ["plan/roll-gates.ts", "soaks"],
    "export function soaked(view: View, candidate: NodeFacts): Blocked[] {",
  ),
  {
    what: "a volume is kept by no clock that jumps",
    theme: "clocks",
    file: "observe/observe.ts",
    find: "sinceBoot: sources.clock.sinceBoot(),",
    replace: "sinceBoot: { ...sources.clock.sinceBoot(), ms: sources.clock.nowMs() },",
  },
  {
    what: "a volume is kept by no clock of another machine",
    theme: "clocks",
    file: "plan/kept-time.ts",
    find: "boot === now.boot ? keptMs +",
    replace: 'boot !== "" ? keptMs +',
  },
  {
    what: "a pod is deleted without the lock only as it was seen",
    theme: "rumours",
    file: "act/act.ts",
    find: "if (action.asSeen !== undefined)",
    replace: "if (action.asSeen?.length === 99)",
  },
  {
    what: "podIsNewest",
    from: 1767,
    file: "plan/finish.ts",
    find: "if (!podIsNewest(view, facts)) return false;",
    replace: 'if (facts.name === "" && !podIsNewest(view, facts)) return false;',
  },
  {
    what: "firstOf",
    theme: "overtaken",
    file: "plan/roll.ts",
    find: "return isOvertaken(view, begun, down) ? down : begun;",
    replace: "return begun;",
  },
  {
    what: "lockHeld",
    theme: "slowness",
    file: "act/act.ts",
    find: "action.needsLock) || lock.isHeld()",
    replace: "action.needsLock) || lock !== undefined",
  },
  { ...nodeGate("sameVersion", "arrivals"), soon: true },
  nodeGate("hsmReady", "arrivals"),
  nodeGate("clockWithinBound", "arrivals"),
  nodeGate("belongsToNoOtherFleet", "arrivals"),
  {
    what: "sizeLimit",
    theme: "crowds",
    file: "plan/size-limit.ts",
    find: "if (!isFull(view)) return namesLeft(view, name);",
    replace: "if (isFull(view) || name !== undefined) return undefined;",
  },
  gate(
    "siteKeepsServing",
    ["plan/serving-gates.ts", "disowned"],
    "export function siteKeepsServing(view: View, node: NodeFacts): Blocked[] {",
  ),
  gate("everybodyIsIn", ["plan/roll.ts", "additions"], "function everybodyIsIn(view: View): Blocked[] {"),
  gate(
    "settingsTried",
    ["plan/roll-gates.ts", "useless"],
    "export function settingsTried(view: View, candidate: NodeFacts, has: (node: NodeFacts) => boolean): Blocked[] {",
  ),
  {
    what: "rejoinConsent",
    theme: "returns",
    file: "desired/kms-node.ts",
    find: "node.entry !== undefined && hasConsent(observed, node)",
    replace: "node.entry !== undefined",
  },
  {
    what: "a removal once begun is finished",
    theme: "removals",
    file: "plan/plan.ts",
    find: "  finishRemoval, //",
    replace: "  // finishRemoval,",
  },
  ...untried(["plan/node-gates.ts", "plan/mesh-reachable.test.ts"], {
    meshReachable: "function meshReachable(view: View, { node, name }: NodeFacts): Blocked | undefined {",
  }),
  ...untried(["plan/node-gates.ts", "plan/plan.test.ts"], {
    addressKnown: "function addressKnown(view: View, { node, name, site }: NodeFacts): Blocked | undefined {",
    siteHasOperator:
      "function siteHasOperator(view: View, { node, site, name, local, siteReachable }: NodeFacts): Blocked | undefined {",
    "gates that another site tells of its nodes":
      "function reportedByItsSite(view: View, node: NodeFacts): Blocked | undefined {",
    nodeConfigured: "function nodeConfigured(view: View, node: NodeFacts): Blocked | undefined {",
    "imagePresent, storageBound: a node joins with a pod that runs":
      "function podRuns(view: View, node: NodeFacts): Blocked | undefined {",
    nodeStarted: "function nodeStarted(view: View, facts: NodeFacts): Blocked | undefined {",
    certificateIssued: "function certificateIssued(view: View, { node, name, site }: NodeFacts): Blocked | undefined {",
  }),
  ...untried(["plan/fleet-gates.ts", "plan/plan.test.ts"], { oneFleet: "function oneFleet(view: View): Blocked[] {" }),
  ...untried(["plan/complaints.ts", "plan/plan.test.ts"], {
    storageUnchanged: "function storageUnchanged(view: View): Blocked[] {",
    "referencesPresent (certificates of clients)": "function missingBundles({ observed }: View): Blocked[] {",
  }),
  ...untried(["plan/roll-gates.ts", "plan/waiting.test.ts"], {
    settingsWaitElsewhere: "export function settingsWaitElsewhere(view: View, candidate: NodeFacts): Blocked[] {",
  }),
  ...untried(["plan/ending.ts", "plan/ending.test.ts"], {
    deletionConfirmed: "export function deletionComplaints(view: View): Blocked[] {",
    sitesEnd: "function othersEnd(view: View): Blocked[] {",
  }),
  ...untried(["plan/kept-volumes.ts", "plan/erasure.test.ts"], {
    keyDestroyed: "export function unerased(view: View): Blocked[] {",
  }),
  ...untried(["plan/secrets.ts", "plan/plan.test.ts"], {
    "referencesPresent (PIN)": "export function missingPin(view: View, node: NodeFacts): Blocked | undefined {",
  }),
  ...untried(["plan/secrets.ts", "plan/roll.test.ts"], {
    "referencesPresent (own certificates)":
      "export function missingCertificates(view: View, node: NodeFacts): Blocked[] {",
  }),
  ...untried(["plan/serving-gates.ts", "plan/broken.test.ts"], {
    "one that serves is not restarted into what cannot start":
      "function comesUpAgain(view: View, node: NodeFacts): Blocked[] {",
  }),
  ...untried(["plan/going-volume.ts", "plan/broken.test.ts"], {
    "storageBound below a node that serves":
      "export function goingVolume(view: View, { name, local, external }: NodeFacts): Blocked[] {",
  }),
  ...untried(["plan/ailing.ts", "plan/broken.test.ts"], {
    "memberServes with nothing wrong": "export function ailingMembers(view: View): Blocked[] {",
  }),
  ...untried(["plan/ca-complaints.ts", "plan/broken.test.ts"], {
    "certificateIssued: the CA of the site is of use": "export function caComplaints(view: View): Blocked[] {",
  }),
  ...untried(["plan/wrong-clock.ts", "plan/broken.test.ts"], {
    "clockWithinBound of the operator": "export function wrongClock({ observed, desired }: View): Blocked[] {",
  }),
  {
    what: "another fleet's document is not taken over",
    file: "observe/spec-agreement.ts",
    find: "return own !== undefined && other !== undefined && own !== other;",
    replace: "return own === undefined && other !== undefined && own !== other;",
    test: "observe/spec-agreement.test.ts",
  },
  ...caMutants,
  {
    what: "one site counts once for the lock",
    file: "runtime/sites.ts",
    find: "return same === this.#options.site || !site.hasOwnNode() ? same : undefined;",
    replace: "return undefined;",
    test: "runtime/sites.test.ts",
  },
  {
    what: "noFleetYet",
    file: "plan/found.ts",
    find: "  if (fleet.clusterIds.length > 0) return fleetIsGone(view);\n",
    replace: "",
    test: "plan/plan.test.ts",
  },
  {
    what: "sponsorServes",
    file: "plan/join.ts",
    find: "...(sponsor === undefined ? [noSponsor(view)] : []),",
    replace: "",
    test: "plan/plan.test.ts",
  },
];

/** A gate of one node that is always open. */
function nodeGate(what: string, theme: string): Mutant {
  const find = `function ${what}(view: View, { node, name }: NodeFacts): Blocked | undefined {`;
  return {
    what,
    file: "plan/node-gates.ts",
    theme,
    find,
    replace: `${find}\n  if (view !== undefined) return undefined;\n`,
  };
}

/** A gate that is always open. */
/** Gates that a test tries and no schedule. */
function untried(
  [file, test]: readonly [file: string, test: string],
  signatures: Readonly<Record<string, string>>,
): readonly Mutant[] {
  return Object.entries(signatures).map(([what, find]) => {
    const open = find.endsWith("undefined {") ? "return undefined;\n" : nothing;
    return { what, file, test, find, replace: `${find}\n  ${open}` };
  });
}

function gate(what: string, place: readonly [file: string, theme: string], signature: string): Mutant {
  const [file, theme] = place;
  return { what, file, theme, find: signature, replace: `${signature}\n  ${nothing}` };
}
