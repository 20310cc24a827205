import type { Random } from "../testing/random-stream.ts";
import type { SimulatedMesh } from "./mesh.ts";
import type { SimulatedNode } from "./node.ts";

/** Does harm; what it returns takes it back. */
type Trouble = (mesh: SimulatedMesh, node: SimulatedNode) => () => void;

/** Every kind of trouble. */
const troubles: Readonly<Record<string, Trouble>> = {
  crash,
  databaseLost,
  pause,
  slowDisk,
  wrongClock,
  cutOneWay,
  cutBothWays,
  isolate,
  isolateSite,
};

const holdMs = 6_000;
const gapMs = 1_500;

/** Troubles one after another, with members that come and go, until the time; all is taken back at the end. */
export async function makeTrouble(mesh: SimulatedMesh, untilMs: number): Promise<void> {
  const { time, random } = mesh;
  const lane = async (work: () => Promise<void>) => {
    while (time.nowMs < untilMs) {
      await time.pause(random.next() * gapMs);
      await work();
    }
  };
  const hurt = async () => {
    const node = random.pick(mesh.live);
    const kind = random.pick(Object.keys(troubles));
    mesh.deed(`${kind} of ${node.name}`);
    const undo = troubles[kind]?.(mesh, node);
    await time.pause(random.next() ** 2 * holdMs);
    mesh.deed(`end of ${kind} of ${node.name}`);
    undo?.();
  };
  await Promise.all([lane(hurt), lane(hurt), lane(() => changeMembers(mesh))]);
}

function crash(mesh: SimulatedMesh, node: SimulatedNode) {
  if (node.running) node.crash();
  return () => {
    if (!node.running && !mesh.destroyed.has(node.name)) node.start(mesh.members);
  };
}

function databaseLost(_mesh: SimulatedMesh, node: SimulatedNode) {
  node.databaseLost();
  return () => node.databaseBack();
}

function pause({ random }: SimulatedMesh, node: SimulatedNode) {
  node.pause(random.next() * 5_000);
  return () => undefined;
}

function slowDisk({ random }: SimulatedMesh, node: SimulatedNode) {
  node.commitMaxMs = random.pick([50, 500, 3_000]);
  return () => {
    node.commitMaxMs = 4;
  };
}

function wrongClock({ random }: SimulatedMesh, node: SimulatedNode) {
  node.clockOffMs = random.pick([-3_600_000, -1_000, 1_000, 3_600_000]);
  return () => {
    node.clockOffMs = 0;
  };
}

function cutOneWay(mesh: SimulatedMesh, node: SimulatedNode) {
  const other = another(mesh, node);
  return mesh.cut([mesh.random.chance(0.5) ? `${node.name} ${other.name}` : `${other.name} ${node.name}`]);
}

function cutBothWays(mesh: SimulatedMesh, node: SimulatedNode) {
  const other = another(mesh, node);
  return mesh.cut([`${node.name} ${other.name}`, `${other.name} ${node.name}`]);
}

function isolate(mesh: SimulatedMesh, node: SimulatedNode) {
  return mesh.cut(around(mesh, [node]));
}

function isolateSite(mesh: SimulatedMesh, node: SimulatedNode) {
  return mesh.cut(
    around(
      mesh,
      [...mesh.nodes.values()].filter(({ site }) => site === node.site),
    ),
  );
}

function around(mesh: SimulatedMesh, inside: readonly SimulatedNode[]): string[] {
  const outside = [...mesh.nodes.values()].filter((node) => !inside.includes(node));
  return inside.flatMap((one) =>
    outside.flatMap((other) => [`${one.name} ${other.name}`, `${other.name} ${one.name}`]),
  );
}

function another({ random, live }: SimulatedMesh, node: SimulatedNode): SimulatedNode {
  return random.pick(live.filter((other) => other !== node));
}

/** Somebody joins, or leaves as the operator lets nodes leave: drained, pulled from, fenced, departed. */
async function changeMembers(mesh: SimulatedMesh): Promise<void> {
  const { time, random } = mesh;
  await time.pause(2_000 + random.next() * 6_000);
  if (random.chance(0.5)) join(mesh);
  else await leave(mesh);
}

function join(mesh: SimulatedMesh): void {
  if (mesh.members.filter(({ standing }) => standing === "Member").length > 7) return;
  const node = mesh.add(`dc${mesh.random.between(1, 3)}-j${mesh.nodes.size}`);
  mesh.deed(`${node.name} joins`);
  mesh.tell([...mesh.members, node.member]);
  node.start(mesh.members);
}

async function leave(mesh: SimulatedMesh): Promise<void> {
  const { time, random } = mesh;
  const node = pickLeaver(mesh, random);
  if (node === undefined) return;
  const { incarnation } = node.disk;
  const stand = (standing: "Leaving" | "Fenced" | "Departed", lastSequence?: number) =>
    mesh.tell(
      mesh.members.map((member) =>
        member.incarnation === incarnation
          ? { ...member, standing, ...(lastSequence === undefined ? {} : { lastSequence }) }
          : member,
      ),
    );
  mesh.deed(`${node.name} leaves`);
  stand("Leaving");
  // It takes no more writes; what is in flight ends.
  const last = () => node.disk.log(incarnation).at(-1)?.seq ?? 0;
  const held = () => mesh.live.every((other) => (other.disk.log(incarnation).at(-1)?.seq ?? 0) >= last());
  await time.pause(4_000);
  for (let left = 300; left > 0 && !held(); left -= 1) await time.pause(100);
  if (!held()) return stand("Leaving");
  stand("Fenced");
  await time.pause(500);
  mesh.fences.set(incarnation, last());
  stand("Departed", last());
  mesh.deed(`${node.name} has departed after ${last()}`);
  node.crash();
  mesh.nodes.delete(node.name);
}

function pickLeaver(mesh: SimulatedMesh, random: Random): SimulatedNode | undefined {
  const many = mesh.live.filter(
    (node) => mesh.live.filter(({ site }) => site === node.site).length > 1 && node.running,
  );
  return many.length === 0 || mesh.live.length < 5 ? undefined : random.pick(many);
}
