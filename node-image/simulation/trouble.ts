import { changeMembers } from "./changes.ts";
import { lies } from "./lies.ts";
import type { SimulatedMesh } from "./mesh.ts";
import type { SimulatedNode } from "./node.ts";

/** Does harm; what it returns takes it back. */
type Trouble = (mesh: SimulatedMesh, node: SimulatedNode) => () => void;

/** Every kind of trouble. */
const troubles: Readonly<Record<string, Trouble>> = {
  crash,
  crashAtCommit,
  databaseLost,
  pause,
  slowDisk,
  wrongClock,
  cutOneWay,
  cutBothWays,
  isolate,
  isolateSite,
  olderDisk,
  lie,
};

const holdMs = 6_000;
const gapMs = 1_500;
/** What is stamped by such a clock others refuse. */
const farMs = 2 * 86_400_000;

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
    if (node === undefined) return;
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

/** What was written is durable and nobody was told so: no answer, no notification. */
function crashAtCommit(mesh: SimulatedMesh, node: SimulatedNode) {
  node.crashesAtCommit = true;
  return () => {
    node.crashesAtCommit = false;
    if (!node.running && mesh.nodes.get(node.name) === node && !mesh.destroyed.has(node.name)) node.start(mesh.members);
  };
}

function lie(mesh: SimulatedMesh, node: SimulatedNode) {
  const kind = mesh.random.pick(Object.keys(lies));
  mesh.deed(`${node.name} tells ${kind}`);
  node.lie = lies[kind];
  return () => {
    node.lie = undefined;
  };
}

/** What the node wrote and took in since the image is gone from it; it comes back as it was. */
function olderDisk(mesh: SimulatedMesh, node: SimulatedNode) {
  const image = node.disk.copy();
  return () => {
    if (mesh.nodes.get(node.name) !== node || mesh.destroyed.has(node.name)) return;
    mesh.deed(`${node.name} starts with the older disk`);
    if (node.running) node.crash();
    node.setBack(image);
    mesh.lose(node.name);
    node.start(mesh.members);
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

/** Far off is one at a time: more of them are the fleet's time. */
function wrongClock({ random, nodes }: SimulatedMesh, node: SimulatedNode) {
  const offMs = random.pick([-farMs, -3_600_000, -1_000, 1_000, 3_600_000, farMs]);
  const isAnyFar = [...nodes.values()].some(({ clockOffMs }) => Math.abs(clockOffMs) === farMs);
  node.clockOffMs = isAnyFar ? Math.sign(offMs) * 1_000 : offMs;
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
  return mesh.cut(mesh.around([node]));
}

function isolateSite(mesh: SimulatedMesh, node: SimulatedNode) {
  return mesh.cut(mesh.around([...mesh.nodes.values()].filter(({ site }) => site === node.site)));
}

function another({ random, live }: SimulatedMesh, node: SimulatedNode): SimulatedNode {
  return random.pick(live.filter((other) => other !== node));
}
