import { type Call, finalReader, type History } from "./record.ts";

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

/** What the nodes said of themselves before it ended: who refuses says why, who is refused does not know. */
export function lastWarnings({ warnings }: History): readonly string[] {
  return [...warnings].toSorted().flatMap(([node, lines]) => [`last warnings of ${node}:`, ...lines]);
}
