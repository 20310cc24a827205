import { setTimeout as pause } from "node:timers/promises";
import type { Random } from "../../node-image/testing/random-stream.ts";
import type { Recorder } from "./record.ts";
import type { World } from "./world.ts";

const beginMs = [500, 4_000] as const;
const awayMs = [200, 2_000] as const;

/** One change of the members in the middle of everything: the spare joins, or one leaves and comes back as a new incarnation. */
export async function changeMembers(world: World, recorder: Recorder, random: Random): Promise<void> {
  await pause(random.between(...beginMs));
  if (!world.members.includes(world.spare))
    return join(world, recorder, { name: world.spare, sponsor: random.pick(world.members) });
  const name = random.pick(world.members);
  await leave(world, recorder, name);
  await pause(random.between(...awayMs));
  await comeBack(world, recorder, { name, sponsor: random.pick(world.members) });
}

/** Removes a member that cannot be drained and lets it join as a new incarnation; what only its disk held is gone. */
export async function replace(world: World, recorder: Recorder, name: string): Promise<void> {
  recorder.deed("forked, is removed and joins anew:", name);
  // The list follows what the node says of itself: it may have begun another log since it joined.
  const incarnation = world.node(name).status?.incarnation ?? listedIncarnation(world, name);
  world.fleet.list(name, { standing: "Fenced", ...(incarnation === undefined ? {} : { incarnation }) });
  await withoutLink(world, name);
  const held = () =>
    world.members.map(
      (member) => world.node(member).status?.departures?.find((each) => each.incarnation === incarnation)?.sequence,
    );
  const [sponsor = ""] = world.members;
  await world
    .node(sponsor)
    .reached("all hold the same of it", () => new Set(held()).size === 1 && held()[0] !== undefined);
  world.fleet.list(name, { standing: "Departed", lastSequence: held()[0] ?? 0 });
  recorder.lose(name);
  await comeBack(world, recorder, { name, sponsor });
}

async function comeBack(
  world: World,
  recorder: Recorder,
  { name, sponsor }: { name: string; sponsor: string },
): Promise<void> {
  // Its key server may have been ended lately, and say nothing yet.
  const incarnation = await world.node(name).reached("its incarnation", (status) => status.incarnation);
  recorder.deed("consent to come back as a new incarnation for", name);
  world.node(name).edit({ membership: { action: "None", rejoin: incarnation } });
  await world.node(name).reached("a new incarnation", (status) => status.incarnation !== incarnation);
  await join(world, recorder, { name, sponsor });
}

async function join(
  world: World,
  recorder: Recorder,
  { name, sponsor }: { name: string; sponsor: string },
): Promise<void> {
  if (world.node(name).pids(/./).length === 0) world.node(name).start();
  recorder.deed(`join by way of ${sponsor} begins for`, name);
  await world.fleet.join(name, sponsor);
  recorder.deed("is a member now:", name);
}

/** As the operator does it: the node drains, the others pull the rest of its log, fence it and agree where the log ends. */
async function leave(world: World, recorder: Recorder, name: string): Promise<void> {
  const { fleet } = world;
  recorder.deed("leave begins for", name);
  world.node(name).edit({ membership: { action: "Leave" } });
  fleet.list(name, { standing: "Leaving" });
  await world.node(name).reachedCondition("Serving", "False", "Drained");
  // A node that is set back while it drains has less to leave, or begins another log: what it says now is what counts.
  const own = await world.node(name).reached("all of its log elsewhere", ({ incarnation, departures }) => {
    if (incarnation !== undefined && incarnation !== listedIncarnation(world, name)) fleet.list(name, { incarnation });
    const said = departures?.find((departure) => departure.name === name);
    const held = world.members.map((member) =>
      world.node(member).status?.departures?.find((departure) => departure.name === name),
    );
    return held.every((each) => each?.incarnation === said?.incarnation && each?.sequence === said?.sequence) && said;
  });
  fleet.list(name, { standing: "Fenced" });
  await withoutLink(world, name);
  fleet.list(name, { standing: "Departed", lastSequence: own.sequence });
  recorder.deed(`has left after ${own.sequence} operations:`, name);
}

function listedIncarnation({ fleet }: World, name: string): string | undefined {
  return fleet.members.find((member) => member.name === name)?.incarnation;
}

async function withoutLink(world: World, name: string): Promise<void> {
  for (const member of world.members)
    await world.node(member).reached(`no link to ${name}`, ({ peers }) => peers?.every((peer) => peer.name !== name));
}
