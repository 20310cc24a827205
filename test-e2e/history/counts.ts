import { type Call, type Deed, finalReader, type History, type Stall } from "./record.ts";

// So long after something was done to a node it may be busy with that.
const recoveryMs = 6_000;
/** What the names of clients end with that write once the fleet is whole again. */
export const atEnd = "/end";

type Counted = Pick<History, "calls" | "deeds"> & { readonly stalls?: readonly Stall[] };

/** How much a history holds, and how long its clients waited at most. */
export function count({ calls, deeds, stalls = [] }: Counted) {
  const writes = calls.filter(({ verb, client }) => verb !== "get" && verb !== "state" && client !== finalReader);
  const answered = writes.filter(({ outcome }) => outcome === "ok");
  const unharmed = outages(calls).filter((call) => !deeds.some((deed) => concerns(deed, call)));
  return {
    calls: calls.length,
    acknowledgedWrites: answered.length,
    unknownWrites: writes.filter(({ outcome }) => outcome === "unknown").length,
    longestStallMs: longest(answered),
    longestStallElsewhereMs: longest(answered.filter((call) => !deeds.some((deed) => concerns(deed, call)))),
    longestOutageElsewhereMs: Math.max(
      0,
      ...unharmed.map((call) => call.answeredMs - call.sentMs - within(call, stalls)),
    ),
    machineStoodStillMs: stalls.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0),
  };
}

function longest(calls: readonly Call[]): number {
  return Math.max(0, ...calls.map(({ sentMs, answeredMs }) => answeredMs - sentMs));
}

/** How much of a call's time was the machine's, which ran nobody. */
function within({ sentMs, answeredMs }: Call, stalls: readonly Stall[]): number {
  const common = stalls.map(({ fromMs, toMs }) => Math.min(toMs, answeredMs) - Math.max(fromMs, sentMs));
  return common.reduce((sum, ms) => sum + Math.max(0, ms), 0);
}

/** Between two calls of a client that its node answered, with yes or no: as long as that nobody was served there. */
function outages(calls: readonly Call[]): readonly Call[] {
  const load = calls.filter(({ client }) => client.startsWith("dc") && !client.endsWith(atEnd));
  const endMs = Math.max(0, ...load.map(({ answeredMs }) => answeredMs));
  return [...Map.groupBy(load, ({ client }) => client).values()].flatMap((own) => {
    const answered = own.filter(({ outcome }) => outcome !== "unknown");
    // Who is not answered again was not served to the end.
    return [...answered.slice(1), ...own.slice(0, 1).map((call) => ({ ...call, answeredMs: endMs }))].map(
      (call, at) => ({
        ...call,
        sentMs: answered[at]?.answeredMs ?? call.sentMs,
      }),
    );
  });
}

/** Whether something was done to the call's node while it was answered, or shortly before. */
function concerns({ atMs, nodes }: Deed, { node, sentMs, answeredMs }: Call): boolean {
  return nodes.includes(node) && atMs > sentMs - recoveryMs && atMs < answeredMs;
}
