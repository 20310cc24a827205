import type { SimulatedMesh } from "./mesh.ts";
import type { SimulatedNode } from "./node.ts";

const membersMax = 8;
const leaversFrom = 5;
const joinPollMs = 200;
const joinTries = 150;

/** Somebody joins, leaves, dies and is removed while a site is away, or is replaced because its log has forked. */
export async function changeMembers(mesh: SimulatedMesh): Promise<void> {
  const { time, random } = mesh;
  await time.pause(1_000 + random.next() * 5_000);
  if (await replaceForked(mesh)) return;
  if (random.chance(0.4)) join(mesh, newName(mesh, `dc${random.between(1, 3)}`));
  else if (random.chance(0.5)) await leave(mesh);
  else await removeDead(mesh);
}

/** A node that says that its log has forked is removed and joins anew, as it asks for; whether there was one. */
export async function replaceForked(mesh: SimulatedMesh): Promise<boolean> {
  const node = mesh.live.find(({ store }) => store?.blocked !== undefined);
  if (node === undefined) return false;
  mesh.deed(`${node.name} has forked and is replaced`);
  mesh.counts.forked += 1;
  await depart(mesh, node);
  join(mesh, node.name);
  return true;
}

/** A name that no node has, whether it runs or was destroyed. */
function newName({ nodes }: SimulatedMesh, site: string): string {
  let number = nodes.size;
  while (nodes.has(`${site}-j${number}`)) number += 1;
  return `${site}-j${number}`;
}

function join(mesh: SimulatedMesh, name: string): void {
  const others = mesh.members.filter((member) => member.name !== name);
  if (others.filter(({ standing }) => standing === "Member").length >= membersMax) return;
  const node = mesh.add(name);
  mesh.deed(`${node.name} joins`);
  // The entry of an earlier life of the name, with the end of its log, is gone from then on.
  mesh.tell([...others, { ...node.member, standing: "Joining" }]);
  node.start(mesh.members);
  void becomeMember(mesh, node);
}

/** As the operator does it: a member once it has caught up; until then it serves nobody and counts for no site. */
async function becomeMember(mesh: SimulatedMesh, node: SimulatedNode): Promise<void> {
  const isNew = () => mesh.nodes.get(node.name) === node && !mesh.destroyed.has(node.name);
  const isThere = () => node.exchange?.caughtUp() === true && node.disk.vector().size > 0;
  for (let left = joinTries; left > 0 && isNew() && !isThere(); left -= 1) await mesh.time.pause(joinPollMs);
  if (!isNew() || !isThere()) return;
  mesh.deed(`${node.name} is a member now`);
  mesh.list(node.name, { standing: "Member" });
}

/** As the operator lets nodes leave: drained, pulled from, fenced, departed; some come back with a new life. */
async function leave(mesh: SimulatedMesh): Promise<void> {
  const { time, random } = mesh;
  const node = pickLeaver(mesh);
  if (node === undefined) return;
  mesh.deed(`${node.name} leaves`);
  mesh.list(node.name, { standing: "Leaving" });
  // It takes no more writes; what is in flight ends.
  const { incarnation } = node.disk;
  const held = () => mesh.live.every(({ disk }) => disk.position(incarnation) >= node.disk.position(incarnation));
  await time.pause(4_000);
  for (let left = 300; left > 0 && !held(); left -= 1) await time.pause(100);
  if (!held()) return;
  await depart(mesh, node);
  if (random.chance(0.5)) join(mesh, node.name);
}

/** A node dies while a site is away; the others remove it, and its name comes back before that site does, which may hold more of its log. */
async function removeDead(mesh: SimulatedMesh): Promise<void> {
  const { time, random } = mesh;
  const node = pickLeaver(mesh);
  const away = random.pick([...new Set(mesh.live.map(({ site }) => site))].filter((site) => site !== node?.site));
  if (node === undefined || away === undefined) return;
  const far = [...mesh.nodes.values()].filter(({ site }) => site === away);
  const heal = mesh.cut(mesh.around(far).filter((way) => !way.split(" ").includes(node.name)));
  mesh.deed(`${away} is away, but for ${node.name}, which dies and is removed`);
  mesh.deaf.add(away);
  await time.pause(random.next() * 2_000);
  await depart(mesh, node, away);
  if (random.chance(0.5)) join(mesh, node.name);
  await time.pause(random.next() * 2_000);
  mesh.deaf.delete(away);
  heal();
  mesh.deed(`${away} is back`);
  mesh.tell(mesh.members);
}

/** The node ends; all that are not away agree how far its log goes. */
async function depart(mesh: SimulatedMesh, node: SimulatedNode, away?: string): Promise<void> {
  const { time } = mesh;
  const { incarnation } = node.disk;
  mesh.list(node.name, { standing: "Fenced", incarnation });
  await time.pause(500);
  if (node.running) node.crash();
  mesh.nodes.delete(node.name);
  mesh.lose(node.name);
  const survivors = () => mesh.live.filter(({ site }) => site !== away);
  const positions = () => new Set(survivors().map(({ disk }) => disk.position(incarnation)));
  for (let left = 300; left > 0 && positions().size > 1; left -= 1) await time.pause(100);
  const lastSequence = Math.max(0, ...positions());
  mesh.list(node.name, { standing: "Departed", lastSequence });
  mesh.counts.departed += 1;
  mesh.deed(`${node.name} has departed after ${lastSequence}`);
  await time.pause(500);
}

function pickLeaver(mesh: SimulatedMesh): SimulatedNode | undefined {
  const { live, random } = mesh;
  const many = live.filter((node) => live.filter(({ site }) => site === node.site).length > 1 && node.running);
  return many.length === 0 || live.length < leaversFrom ? undefined : random.pick(many);
}
