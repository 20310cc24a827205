import { effectOf } from "../store/change.ts";
import { join, nothing, type State } from "../store/law.ts";
import type { Operation } from "../store/types.ts";
import { SimulatedMesh } from "./mesh.ts";
import type { SimulatedNode } from "./node.ts";
import { makeTrouble } from "./trouble.ts";

const names = ["dc1-a", "dc2-a", "dc3-a", "dc1-b", "dc2-b", "dc3-b"];
const sizes = [3, 3, 3, 4, 5, 6] as const;
const troubleMs = 8_000;
const healMs = 30_000;
const thinkMs = 200;
const durabilities = ["EverySite", "EverySite", "OtherSite", "Local"] as const;
// Share of the seeds in which all sites but one are destroyed in the middle of writes.
const destroyShare = 0.3;

/** What came of one seed. */
export interface Simulated {
  readonly seed: number;
  readonly events: number;
  readonly acknowledged: number;
  readonly operations: number;
  /** Promises that were broken; empty when all held. */
  readonly broken: readonly string[];
  readonly deeds: readonly string[];
}

/** Runs one schedule of writes and troubles through the real replication, on simulated time, disks and links. */
export async function simulate(seed: number): Promise<Simulated> {
  const mesh = new SimulatedMesh(seed, durabilities[seed % durabilities.length] ?? "EverySite");
  const { time, random } = mesh;
  const nodes = names.slice(0, random.pick(sizes)).map((name) => mesh.add(name));
  mesh.members = nodes.map((node) => node.member);
  for (const node of nodes) node.start(mesh.members);
  const objects = Array.from({ length: 12 }, () => mesh.newObject());
  let writing = true;
  const clients = nodes.map((_, index) => write(mesh, index, { objects, going: () => writing }));
  const work = (async () => {
    await makeTrouble(mesh, troubleMs);
    if (random.chance(destroyShare)) destroyAllButOneSite(mesh);
    await time.pause(500);
    writing = false;
    await Promise.all(clients);
  })();
  let over = false;
  void work.then(() => {
    over = true;
  });
  await time.runUntil(Number.POSITIVE_INFINITY, () => over);
  const healedMs = time.nowMs;
  await time.runUntil(healedMs + healMs, () => time.nowMs > healedMs + 1_000 && areEqual(mesh.live));
  const broken = [...mesh.broken, ...verdict(mesh)];
  for (const node of mesh.nodes.values()) node.crash();
  const operations = Math.max(
    0,
    ...nodes.map((node) => [...node.disk.logs.values()].reduce((sum, log) => sum + log.length, 0)),
  );
  return { seed, events: time.ran, acknowledged: mesh.acknowledged.length, operations, broken, deeds: mesh.deeds };
}

async function write(
  mesh: SimulatedMesh,
  index: number,
  { objects, going }: { objects: readonly string[]; going: () => boolean },
): Promise<void> {
  const { time, random } = mesh;
  while (going()) {
    await time.pause(random.next() * 2 * thinkMs);
    const node = mesh.live[index % mesh.live.length];
    // A client gives up by itself when no answer comes from a node that died.
    if (node?.running) await Promise.race([mesh.write(node, objects), time.pause(5_000)]);
  }
}

function destroyAllButOneSite(mesh: SimulatedMesh): void {
  const sites = [...new Set(mesh.live.map(({ site }) => site))];
  const kept = mesh.random.pick(sites);
  mesh.deed(`all sites but ${kept} are destroyed`);
  for (const node of [...mesh.nodes.values()].filter(({ site }) => site !== kept)) {
    node.crash();
    mesh.destroyed.add(node.name);
  }
}

function areEqual(nodes: readonly SimulatedNode[]): boolean {
  const vectors = nodes.map(({ disk }) => JSON.stringify([...disk.vector()].sort()));
  return vectors.every((vector) => vector === vectors[0]);
}

/** What must hold when all troubles are over and time for healing has passed. */
function verdict(mesh: SimulatedMesh): readonly string[] {
  const { live } = mesh;
  const broken: string[] = [];
  if (!areEqual(live)) {
    const vectors = live.map(({ name, disk }) => `${name} ${JSON.stringify([...disk.vector()].sort())}`);
    broken.push(`the nodes are not equal after healing: ${vectors.join("; ")}`);
  }
  for (const node of live) broken.push(...holes(mesh, node), ...positions(node));
  const states = live.map(({ disk }) => JSON.stringify(stateOf([...disk.logs.values()].flat())));
  if (new Set(states).size > 1 && areEqual(live)) broken.push("nodes with the same logs have different states");
  broken.push(...lost(mesh));
  return broken;
}

/** Each origin's log is on each node the beginning of the one true log, without a gap, and ends where it was agreed. */
function holes(mesh: SimulatedMesh, node: SimulatedNode): readonly string[] {
  return [...node.disk.logs].flatMap(([origin, log]) => {
    const wrong = log.findIndex(({ seq }, index) => seq !== index + 1);
    if (wrong >= 0) return [`${node.name} has a hole in the log of ${origin} before ${log[wrong]?.seq}`];
    const fence = mesh.fences.get(origin);
    if (fence !== undefined && log.length > fence)
      return [`${node.name} holds ${log.length} of ${origin}, which ended at ${fence}`];
    const other = mesh.live.find(({ disk }) => !agree(disk.log(origin), log));
    return other === undefined ? [] : [`${node.name} and ${other.name} hold different logs of ${origin}`];
  });
}

function agree(one: readonly Operation[], other: readonly Operation[]): boolean {
  const common = Math.min(one.length, other.length);
  return one.slice(0, common).every((operation, index) => operation.mac.equals(other[index]?.mac ?? Buffer.alloc(0)));
}

function positions({ name, store, disk }: SimulatedNode): readonly string[] {
  const wrong = [...(store?.vector() ?? [])].filter(([origin, seq]) => (disk.log(origin).at(-1)?.seq ?? 0) !== seq);
  return wrong.map(([origin, seq]) => `${name} believes to hold ${seq} of ${origin}, its disk holds another`);
}

function lost({ live, acknowledged, destroyed, nodes, durability }: SimulatedMesh): readonly string[] {
  const [witness] = live;
  if (witness === undefined) return ["no node is left"];
  const sites = new Set([...destroyed].map((name) => nodes.get(name)?.site));
  const left = (site: string) => !sites.has(site);
  const holders = { EverySite: "some", OtherSite: "every", Local: undefined } as const;
  const rule = holders[durability];
  const kept = acknowledged.filter(
    ({ node, sites: held }) => !destroyed.has(node) || (rule !== undefined && held.length > 0 && held[rule](left)),
  );
  const missing = kept.filter(({ origin, head }) => (witness.disk.log(origin).at(-1)?.seq ?? 0) < head);
  return missing.slice(0, 3).map(({ node, head }) => `${head} of ${node} was acknowledged and is lost`);
}

/** The merged objects, by the store's own law. */
function stateOf(operations: readonly Operation[]): readonly unknown[] {
  const states = new Map<string, State>();
  for (const operation of operations) {
    const { state } = effectOf(operation);
    states.set(operation.object, join(states.get(operation.object) ?? nothing, state));
  }
  return [...states]
    .sort()
    .map(([object, { born, facts, attributes }]) => [object, born, facts, [...attributes].sort()]);
}
