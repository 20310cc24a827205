import type { Found } from "./check.ts";
import { type Call, finalReader, type History, lifeOf, state } from "./record.ts";
import { describe } from "./story.ts";
import { survives } from "./survival.ts";

const lost = "an acknowledged write is never lost";

/** What was acknowledged, and not only by disks that were destroyed, is there at the end, and everywhere alike. */
export function endIsWhole(calls: readonly Call[], history: History): readonly Found[] {
  const final = calls.filter(({ client }) => client === finalReader);
  return [...nothingIsLost(calls, final, history), ...nodesAreAlike(final), ...keysAreThere(calls, final, history)];
}

function nothingIsLost(calls: readonly Call[], final: readonly Call[], history: History): readonly Found[] {
  const kept = calls.filter((call) => call.client !== finalReader && call.outcome === "ok" && survives(call, history));
  const [end] = final.filter(({ verb }) => verb === "state");
  const isEnd = history.calls.some(({ client }) => client === finalReader);
  // Nobody can tell of what was not looked at.
  if (end === undefined)
    return kept.length > 0 && isEnd ? [[lost, `${describe(kept[0])}, at the end nobody read it`]] : [];
  if (end.outcome !== "ok")
    return kept.length === 0 ? [] : [[lost, `${describe(kept[0])}, at the end: ${end.problem}`]];
  const missing = kept.filter(({ verb }) => !holds(verb, end.state ?? 0));
  const facts = missing.map((call): Found => [lost, `${describe(call)}, state at the end ${end.state}`]);
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

/** The last note may be any but one that a node knew already when it took another, which was acknowledged and survives. */
function noteIsNotOlder(calls: readonly Call[], final: string | undefined, history: History): readonly Found[] {
  const writes = calls.filter(({ verb }) => verb === "writeNote" || verb === "create");
  const winner = writes.find(({ note }) => note === final);
  if (winner === undefined) return [];
  const knew = calls.filter(
    ({ note, outcome, client }) => note === final && outcome === "ok" && client !== finalReader,
  );
  const life = (call: Call) => lifeOf(call, history.lives);
  const isBefore = (seen: Call, call: Call) =>
    seen.answeredMs < call.sentMs && (seen === winner ? seen.node === call.node : life(seen) === life(call));
  const later = writes.find(
    (call) =>
      call !== winner && call.outcome === "ok" && knew.some((seen) => isBefore(seen, call)) && survives(call, history),
  );
  return later === undefined ? [] : [[lost, `${describe(later)}, at the end the note is ${final}, written before`]];
}

/** Every node that is asked at the end shows the same. */
function nodesAreAlike(final: readonly Call[]): readonly Found[] {
  const reads = final.filter(({ verb }) => verb === "state");
  const shown = ({ outcome, state: seen, note, problem }: Call) =>
    outcome === "ok" ? `state ${seen}, note ${note}` : problem;
  const [first] = reads;
  const other = reads.find((read) => first !== undefined && shown(read) !== shown(first));
  if (first === undefined || other === undefined) return [];
  return [["at the end all nodes show the same", `${first.node}: ${shown(first)}; ${other.node}: ${shown(other)}`]];
}

/** A key that was acknowledged and not taken out of service can be had from every node that is asked. */
function keysAreThere(calls: readonly Call[], final: readonly Call[], history: History): readonly Found[] {
  const made = calls.find((call) => call.verb === "create" && call.outcome === "ok" && survives(call, history));
  const serves = (node: string) =>
    final.some((call) => call.node === node && call.verb === "state" && (call.state ?? 9) <= state.deactivated);
  const without = final.find(({ verb, outcome, node }) => verb === "get" && outcome !== "ok" && serves(node));
  return made === undefined || without === undefined ? [] : [[lost, `${describe(made)}, then ${describe(without)}`]];
}
