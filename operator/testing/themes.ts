/** What may happen in a schedule by accident. */
export const everyFault = [
  ...["cut", "crash", "restart", "object", "node", "lose", "return", "jump"],
  ...["lostEvent", "doubledEvent", "machine", "hsm"],
] as const;

/** A theme may ask for a pod alone of the objects that are deleted by hand, and for a pod of which is not heard that it is ready. */
export type Fault = (typeof everyFault)[number] | "pod" | "unheard";

/** A schedule that is about one thing: fewer kinds of faults and edits, and those more often. */
export interface Theme {
  readonly faults: readonly Fault[];
  /** Names of edits (simulated-edits.ts); one that is named more often is made more often. */
  readonly edits: readonly string[];
  /** Soak time once all is mended; a second when absent. */
  readonly soakSeconds?: number;
  /** Clocks jump by up to so much; 20 minutes when absent. */
  readonly longestJumpMs?: number;
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
  mistakes: {
    faults: ["restart", "object"],
    edits: ["nameWrongly", "nameWrongly", "otherSettings", "upgrade", "soonest"],
  },
};
