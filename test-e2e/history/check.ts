import type { Call, History, Step } from "./record.ts";

/** One promise that was broken. */
export interface Violation {
  readonly rule: string;
  readonly object: string;
  readonly detail: string;
}

/** KMIP states (9.1.3.2.18): the later in this order, the worse the news; bad news is never taken back. */
const state = {
  preActive: 1,
  active: 2,
  deactivated: 3,
  compromised: 4,
  destroyed: 5,
  destroyedCompromised: 6,
} as const;
// An answer may overtake the line that tells of a site's loss by so much.
const settleMs = 1_000;
/** The client that reads everything once the fleet is whole again. */
export const finalReader = "final";

/** Checks a history that ends with the final reader's calls; no violation is an empty list. */
export function check(history: History): readonly Violation[] {
  const objects = Map.groupBy(history.calls, ({ object }) => object);
  objects.delete(""); // Creates that were not answered have no name.
  const attempts = attemptedNotes(history.calls);
  return [...objects].flatMap(([object, calls]) => {
    const ordered = calls.toSorted((one, other) => one.answeredMs - other.answeredMs);
    const found = [
      ...keyNeverChanges(ordered),
      ...nothingIsLost(ordered, history),
      ...readsGoForward(ordered, history.lives),
      ...nothingFromNowhere(ordered, attempts),
    ];
    return found.map(([rule, detail]) => ({ rule, object, detail }));
  });
}

type Found = readonly [rule: string, detail: string];

function keyNeverChanges(calls: readonly Call[]): readonly Found[] {
  const keys = new Set(calls.flatMap(({ key }) => key ?? []));
  return keys.size > 1 ? [["a key's value never changes", `read as ${[...keys].join(", ")}`]] : [];
}

/** What was acknowledged, and not only by disks that were destroyed, is there at the end. */
function nothingIsLost(calls: readonly Call[], history: History): readonly Found[] {
  const final = calls.filter(({ client }) => client === finalReader);
  const [end] = final.filter(({ verb }) => verb === "state");
  if (end === undefined) return [];
  const kept = calls.filter((call) => call.client !== finalReader && call.outcome === "ok" && survives(call, history));
  if (end.outcome !== "ok")
    return kept.length === 0
      ? []
      : [["an acknowledged write is never lost", `${describe(kept[0])}, at the end: ${end.problem}`]];
  const missing = kept.filter(({ verb }) => !holds(verb, end.state ?? 0));
  const facts = missing.map(
    (call): Found => ["an acknowledged write is never lost", `${describe(call)}, state at the end ${end.state}`],
  );
  return [...facts, ...noteIsNotOlder(calls, end.note, history)];
}

/** Whether the state shows that the operation was done. */
function holds(verb: Call["verb"], found: number): boolean {
  if (verb === "activate") return found >= state.active;
  if (verb === "deactivate") return found >= state.deactivated;
  if (verb === "compromise") return found === state.compromised || found === state.destroyedCompromised;
  if (verb === "destroy") return found >= state.destroyed;
  return true;
}

/** The last note may be any but one that its own node knew to be older than an acknowledged one that survives. */
function noteIsNotOlder(calls: readonly Call[], final: string | undefined, history: History): readonly Found[] {
  const writes = calls.filter(({ verb }) => verb === "writeNote" || verb === "create");
  const winner = writes.find(({ note }) => note === final);
  if (winner === undefined) return [];
  const later = writes.find(
    (call) =>
      call.outcome === "ok" && call.node === winner.node && call.sentMs > winner.answeredMs && survives(call, history),
  );
  if (later === undefined || winner.outcome === "unknown") return [];
  return [
    ["an acknowledged write is never lost", `${describe(later)}, at the end the note is ${final}, written before`],
  ];
}

/** On one node a read that was sent after another was answered never shows less than that one did. */
function readsGoForward(calls: readonly Call[], lives: History["lives"]): readonly Found[] {
  const life = ({ node, answeredMs }: Call) =>
    lives.filter((each) => each.node === node && each.atMs < answeredMs).length;
  return [...Map.groupBy(calls, (call) => `${call.node} ${life(call)}`).values()].flatMap((here) => [
    ...stateGoesForward(here),
    ...notesGoForward(here),
  ]);
}

/** The least state that a node must show after this call; 0 when it says nothing. */
function leastState(call: Call): number {
  if (call.outcome !== "ok") return 0;
  if (call.verb === "state") return call.state ?? 0;
  return { create: 1, activate: 2, deactivate: 3, compromise: 4, destroy: 5, get: 1, writeNote: 1 }[call.verb] ?? 0;
}

function stateGoesForward(calls: readonly Call[]): readonly Found[] {
  return calls.flatMap((call) => {
    const before = calls.filter((other) => other.answeredMs < call.sentMs);
    const worst = before.toSorted((one, other) => leastState(other) - leastState(one))[0];
    if (worst === undefined) return [];
    const rule = takenBack(call, leastState(worst), before.some(showsCompromise));
    return rule === undefined ? [] : [[rule, `${describe(worst)}, then ${describe(call)}`] as const];
  });
}

/** The rule that the call breaks when a call before it has shown `least` already. */
function takenBack(call: Call, least: number, compromised: boolean): string | undefined {
  if (call.problem === "notFound" && least > 0) return "what a node has shown it goes on to show";
  if (call.outcome !== "ok") return undefined;
  if (call.verb === "get" && least >= state.destroyed) return "destroyed stays destroyed";
  // Unless the fleet's owner allows it, which no history does.
  if (call.verb === "get" && compromised) return "a compromised key is not served";
  if (call.verb !== "state" || call.state === undefined) return undefined;
  const back = call.state < least || (compromised && call.state === state.destroyed);
  return back ? "bad news is never taken back" : undefined;
}

function showsCompromise(call: Call): boolean {
  if (call.outcome !== "ok") return false;
  return call.verb === "compromise" || call.state === state.compromised || call.state === state.destroyedCompromised;
}

/** A note that was replaced on this node does not come back. */
function notesGoForward(calls: readonly Call[]): readonly Found[] {
  const reads = calls
    .filter(({ verb, outcome }) => verb === "state" && outcome === "ok")
    .toSorted((a, b) => a.sentMs - b.sentMs);
  const replaced = new Map<string, Call>();
  let last: Call | undefined;
  for (const read of reads) {
    // Calls that overlap may be seen in either order.
    if (last !== undefined && last.answeredMs > read.sentMs) continue;
    const note = read.note ?? "";
    if (last !== undefined && last.note !== note) replaced.set(last.note ?? "", read);
    const gone = replaced.get(note);
    if (gone !== undefined && gone !== read)
      return [["reads of one node go forward", `${describe(gone)}, then again ${describe(read)}`]];
    last = read;
  }
  return [];
}

function nothingFromNowhere(calls: readonly Call[], attempts: ReadonlyMap<string, string>): readonly Found[] {
  const tried = new Set(calls.map(({ verb }) => verb));
  const reads = calls.filter(({ verb, outcome }) => verb === "state" && outcome === "ok");
  const rule = "nothing comes from nowhere";
  return reads.flatMap((call): Found[] => {
    const origin = call.note === undefined ? call.object : attempts.get(call.note);
    const strange = origin !== call.object && origin !== "";
    return [
      ...(hasCause(call.state ?? 0, tried) ? [] : [[rule, `${describe(call)}, which nobody asked for`] as const]),
      ...(strange ? [[rule, `${describe(call)}: that note was never written to it`] as const] : []),
    ];
  });
}

function hasCause(seen: number, tried: ReadonlySet<Call["verb"]>): boolean {
  if (seen >= state.destroyed && !tried.has("destroy")) return false;
  if (seen === state.compromised || seen === state.destroyedCompromised) return tried.has("compromise");
  if (seen === state.deactivated) return tried.has("deactivate");
  return seen !== state.active || tried.has("activate");
}

/** Each note and the object that it was written to; empty when that is not known. */
function attemptedNotes(calls: readonly Call[]): ReadonlyMap<string, string> {
  const writes = calls.filter(({ verb }) => verb === "writeNote" || verb === "create");
  return new Map(writes.map(({ note = "", object }) => [note, object]));
}

/** Whether an answered write must outlive what was destroyed: its own disk is left, or that of a site that was in step. */
export function survives(call: Call, { lost, steps }: Pick<History, "lost" | "steps">): boolean {
  const isLost = (node: string) => (lost.get(node) ?? Number.NEGATIVE_INFINITY) >= call.sentMs;
  if (!isLost(call.node)) return true;
  const own = siteOf(call.node);
  const whole = (site: string) =>
    site !== own && ![...lost.keys()].some((node) => siteOf(node) === site && isLost(node));
  return sitesSeen(steps, call.node).some((site) => whole(site) && inStep(steps, call, site));
}

function sitesSeen(steps: readonly Step[], node: string): readonly string[] {
  const all = new Set(["dc1", "dc2", "dc3"]);
  all.delete(siteOf(node));
  for (const { site } of steps) if (site !== undefined && site !== siteOf(node)) all.add(site);
  return [...all];
}

/** Whether the node held the site for in step during all of the call. */
function inStep(steps: readonly Step[], call: Call, site: string): boolean {
  const mine = steps.filter((step) => step.node === call.node && (step.site ?? site) === site);
  const before = mine.findLast(({ atMs }) => atMs <= call.sentMs);
  const during = mine.filter(({ atMs }) => atMs > call.sentMs && atMs <= call.answeredMs + settleMs);
  return (before?.inStep ?? true) && during.every((step) => step.inStep && step.site !== undefined);
}

function siteOf(node: string): string {
  return node.split("-")[0] ?? node;
}

/** A call as a line of a history. */
export function describe(call: Call | undefined): string {
  if (call === undefined) return "nothing";
  const { client, verb, outcome, note, state: seen, key, problem, sentMs, answeredMs } = call;
  const said = [note && `note ${note}`, seen && `state ${seen}`, key && `key ${key}`, problem]
    .filter(Boolean)
    .join(", ");
  return `${client}: ${verb} ${outcome}${said === "" ? "" : ` (${said})`} ${sentMs.toFixed(0)}–${answeredMs.toFixed(0)} ms`;
}

/** What happened around an object: its calls, and what was done to the fleet between them. */
export function story(history: History, object: string): readonly string[] {
  const calls = history.calls.filter((call) => call.object === object);
  const from = Math.min(...calls.map(({ sentMs }) => sentMs)) - 500;
  const until =
    Math.max(...calls.filter(({ client }) => client !== finalReader).map(({ answeredMs }) => answeredMs)) + 2_000;
  const lines = [
    ...calls.map((call) => [call.sentMs, `${call.node} ${describe(call)}`] as const),
    ...history.deeds.map(({ atMs, what, nodes }) => [atMs, `** ${what} ${nodes.join(", ")}`] as const),
    ...history.steps.map(
      ({ atMs, node, site, inStep: step }) =>
        [
          atMs,
          `-- ${node}: ${site === undefined ? "key server started" : `${site} ${step ? "in" : "out of"} step`}`,
        ] as const,
    ),
  ];
  return lines
    .filter(([atMs], index) => index < calls.length || (atMs >= from && atMs <= until))
    .toSorted(([one], [other]) => one - other)
    .map(([atMs, text]) => `${atMs.toFixed(0).padStart(8)} ${text}`);
}
