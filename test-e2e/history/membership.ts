import { setTimeout as pause } from "node:timers/promises";
import type { Random } from "../../node-image/testing/random-stream.ts";
import type { Recorder } from "./record.ts";
import type { World } from "./world.ts";

const beginMs = [500, 4_000] as const;
const awayMs = [200, 2_000] as const;

/** One change of the members in the middle of everything: the spare joins, or one leaves and comes back as a new incarnation. */
export async function changeMembers(world: World, recorder: Recorder, random: Random): Promise<void> {
  await pause(random.between(...beginMs));
  if (!world.members.includes(world.spare)) return join(world, recorder, { name: world.spare, random });
  const name = random.pick(world.members);
  await leave(world, recorder, name);
  await pause(random.between(...awayMs));
  const { incarnation } = world.node(name).status ?? {};
  if (incarnation === undefined) throw new Error(`${name} has no incarnation`);
  recorder.deed("consent to come back as a new incarnation for", name);
  world.node(name).edit({ membership: { action: "None", rejoin: incarnation } });
  await world.node(name).reached("a new incarnation", (status) => status.incarnation !== incarnation);
  await join(world, recorder, { name, random });
}

async function join(
  world: World,
  recorder: Recorder,
  { name, random }: { name: string; random: Random },
): Promise<void> {
  const sponsor = random.pick(world.members);
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
  const own = await world
    .node(name)
    .reached("its own departure", ({ departures }) => departures?.find((departure) => departure.name === name));
  for (const member of world.members)
    await world
      .node(member)
      .reached(`all of ${name}'s log`, ({ departures }) =>
        departures?.some(({ incarnation, sequence }) => incarnation === own.incarnation && sequence === own.sequence),
      );
  fleet.list(name, { standing: "Fenced" });
  for (const member of world.members)
    await world.node(member).reached(`no link to ${name}`, ({ peers }) => peers?.every((peer) => peer.name !== name));
  fleet.list(name, { standing: "Departed", lastSequence: own.sequence });
  recorder.deed(`has left after ${own.sequence} operations:`, name);
}
