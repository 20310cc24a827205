/** What may happen in a schedule by accident. */
export const everyFault = [
  ...["cut", "crash", "restart", "object", "node", "lose", "return", "jump"],
  ...["lostEvent", "doubledEvent", "machine", "hsm"],
] as const;

/**
 * Those that only a theme asks for: a pod alone of the objects that are deleted by hand, a pod of which is not heard that it is
 * ready, clocks and HSMs of single machines, volumes of other fleets, the Secret of a site's CA, a pass that outlasts the lock, and links that are cut one way,
 * or for operators or nodes alone.
 */
const faultsOfThemes = [
  ...["pod", "unheard", "clock", "newcomerHsm", "newcomerClock", "foreign", "ca", "slow"],
  ...["apiOneWay", "meshOneWay", "apiOfSite", "meshOfSite"],
] as const;

export type Fault = (typeof everyFault)[number] | (typeof faultsOfThemes)[number];

/** A schedule that is about one thing: fewer kinds of faults and edits, and those more often. */
export interface Theme {
  readonly faults: readonly Fault[];
  /** Names of edits (simulated-edits.ts); one that is named more often is made more often. */
  readonly edits: readonly string[];
  /** Soak time once all is mended; a second when absent. */
  readonly soakSeconds?: number;
  /** Clocks jump by up to so much; 20 minutes when absent. */
  readonly longestJumpMs?: number;
  /** Nodes of each site to begin with; two when absent. */
  readonly nodes?: readonly number[];
}

/** Themes by name: a mutant of the code is looked for where it does harm. */
export const themes: Readonly<Record<string, Theme>> = {
  upgrades: {
    faults: ["object", "restart", "lose", "return", "cut", "lostEvent", "hsm"],
    edits: ["upgrade", "upgrade", "upgrade", "rollBack", "leap", "soak", "window", "noWindows", "otherSettings"],
  },
  soaks: {
    faults: ["restart"],
    edits: ["upgrade", "upgrade", "soak"],
    soakSeconds: 60,
  },
  accidents: {
    faults: ["hsm", "hsm", "machine", "machine", "machine", "object"],
    edits: ["otherSettings", "upgrade", "upgrade", "remove", "swap", "soonest"],
  },
  windows: {
    faults: ["restart"],
    edits: ["upgrade", "upgrade", "otherSettings", "window", "window", "noWindows", "soonest"],
  },
  cuts: {
    faults: ["cut", "cut", "cut", "restart"],
    edits: ["swap", "swap", "add", "remove", "otherSettings", "soonest"],
  },
  releases: {
    faults: ["restart", "crash"],
    edits: ["upgrade", "upgrade", "askForApproval", "approve", "noRequests", "pause", "leap", "rollBack"],
  },
  backups: {
    faults: ["restart", "cut"],
    edits: ["upgrade", "upgrade", "askForBackup", "askForBackup", "backUp", "rollBack", "soonest"],
  },
  settings: {
    faults: ["object", "restart", "crash", "cut"],
    edits: ["breakSettings", "mendSettings", "otherSettings", "setting", "upgrade", "remove", "add", "dropBroken"],
  },
  stumbles: {
    faults: ["pod"],
    edits: ["breakSettings", "breakSettings", "mendSettings", "otherSettings"],
  },
  rumours: {
    faults: ["unheard", "unheard", "lostEvent"],
    edits: ["otherSettings", "soonest"],
  },
  overtaken: {
    faults: ["node", "node", "machine"],
    edits: ["breakSettings", "mendSettings", "upgrade", "upgrade", "rollBack", "soonest"],
  },
  drops: {
    faults: ["restart"],
    edits: ["breakSettings", "dropBroken", "dropBroken", "add"],
  },
  removals: {
    faults: ["restart", "crash", "object", "cut", "doubledEvent"],
    edits: ["remove", "remove", "add", "swap", "swap", "consent", "pause", "emptySite", "upgrade"],
  },
  swaps: {
    faults: ["restart", "object"],
    edits: ["swap", "swap", "addBroken", "swapForBroken", "swapForBroken", "remove", "consent"],
  },
  rebuilds: {
    faults: ["restart", "object", "node"],
    edits: ["upgrade", "rebuild", "rebuild", "inPlace", "breakSettings", "otherSettings"],
  },
  losses: {
    faults: ["lose", "lose", "return", "return", "cut", "jump", "object"],
    edits: ["nameLost", "nameLost", "remove", "swap", "add", "inPlace", "consent", "upgrade"],
  },
  farewells: {
    faults: ["lose", "lose", "return", "doubledEvent"],
    edits: ["giveUpLost"],
  },
  clocks: {
    faults: ["jump", "jump", "jump", "restart", "cut"],
    edits: ["remove", "remove", "add", "swap", "consent"],
    longestJumpMs: 3 * 86_400_000,
  },
  oneWays: {
    faults: ["apiOneWay", "apiOneWay", "apiOfSite", "meshOneWay", "meshOneWay", "meshOfSite", "restart"],
    edits: ["swap", "add", "remove", "otherSettings", "upgrade", "upgrade", "rollBack", "consent", "soonest"],
  },
  sites: {
    faults: ["lostEvent", "object", "cut", "restart"],
    edits: ["emptySite", "dropSite", "dropSite", "dropSite", "addSite", "addSite", "consent", "upgrade", "soonest"],
    nodes: [2, 2, 0],
  },
  haste: {
    faults: ["restart"],
    edits: ["emptySite", "dropSiteEarly", "dropSiteEarly", "addSite"],
  },
  arrivals: {
    faults: ["newcomerHsm", "newcomerClock", "newcomerClock", "foreign", "hsm", "clock", "restart"],
    edits: ["add", "add", "swap", "remove", "upgrade", "rollBack", "consent", "soonest"],
  },
  returns: {
    faults: ["restart"],
    edits: ["remove", "add", "add", "soonest"],
  },
  crowds: {
    faults: ["restart"],
    edits: ["addToFull", "swapInFull", "swapInFull", "remove"],
    nodes: [7, 7, 6],
  },
  slowness: {
    faults: ["slow"],
    edits: ["swap", "add", "remove", "otherSettings", "upgrade", "soonest"],
  },
  useless: {
    faults: ["restart", "crash"],
    edits: ["uselessSettings", "uselessSettings", "otherSettings", "mendSettings", "soonest"],
  },
  disowned: {
    faults: ["hsm", "hsm", "restart"],
    edits: ["nameWrongly", "nameWrongly", "remove", "remove", "soonest"],
  },
  additions: {
    faults: ["restart", "object"],
    edits: ["addBroken", "addBroken", "upgrade", "upgrade", "rebuild", "soonest"],
  },
  lostCas: {
    faults: ["ca", "ca", "ca", "restart", "crash", "object", "cut", "doubledEvent"],
    edits: ["add", "remove", "swap", "otherSettings", "upgrade", "consent", "soonest"],
  },
  mistakes: {
    faults: ["restart", "object"],
    edits: ["nameWrongly", "nameWrongly", "otherSettings", "upgrade", "soonest"],
  },
};
