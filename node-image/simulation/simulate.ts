import { join, nothing, type State } from "../store/law.ts";
import { encodeState } from "../store/state.ts";
import type { Operation } from "../store/types.ts";
import { replaceForked } from "./changes.ts";
import { type Acknowledged, SimulatedMesh } from "./mesh.ts";
import type { SimulatedNode } from "./node.ts";
import { makeTrouble } from "./trouble.ts";

const names = ["dc1-a", "dc2-a", "dc3-a", "dc1-b", "dc2-b", "dc3-b"];
const sizes = [3, 3, 3, 4, 5, 6] as const;
/** How long troubles last: short ones come by far more starts of nodes, meetings and destroyed sites for the same work. */
const troubleMs = { long: 8_000, short: 2_500 } as const;
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
  /** How often what is rare came about. */
  readonly counts: Readonly<SimulatedMesh["counts"]>;
  /** Promises that were broken; empty when all held. */
  readonly broken: readonly string[];
  readonly deeds: readonly string[];
}

/** Long ones also come to what needs time: members that are given up, nodes that leave and come back, several troubles in a row. */
export type Length = keyof typeof troubleMs;

/** Runs one schedule of writes and troubles through the real replication, on simulated time, disks and links. */
export async function simulate(seed: number, length: Length = "long"): Promise<Simulated> {
  const mesh = new SimulatedMesh(seed, durabilities[seed % durabilities.length] ?? "EverySite");
  const { time, random } = mesh;
  const nodes = mesh.begin(names.slice(0, random.pick(sizes)));
  const objects = Array.from({ length: 12 }, () => mesh.newObject());
  let writing = true;
  const clients = nodes.map((_, index) => write(mesh, index, { objects, going: () => writing }));
  const work = (async () => {
    await makeTrouble(mesh, troubleMs[length]);
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
  await heal(mesh);
  const broken = [...mesh.broken, ...verdict(mesh)];
  const { pruned, snapshots } = rare(mesh);
  for (const node of mesh.nodes.values()) node.crash();
  const counts = { ...mesh.counts, pruned, snapshots };
  return { seed, events: time.ran, acknowledged: mesh.acknowledged.length, counts, broken, deeds: mesh.deeds };
}

/** Time without troubles until all are equal; what has forked is replaced meanwhile. */
async function heal(mesh: SimulatedMesh): Promise<void> {
  const { time } = mesh;
  const end = time.nowMs + healMs;
  let replacing = false;
  for (let calmMs = time.nowMs + 1_000; time.nowMs < end; calmMs = Math.max(calmMs, time.nowMs + 100)) {
    await time.runUntil(calmMs);
    if (!replacing && mesh.live.some(({ store }) => store?.blocked !== undefined)) {
      replacing = true;
      void replaceForked(mesh).then(() => {
        replacing = false;
      });
    }
    if (!replacing && areEqual(mesh.live)) return;
  }
}

/** What is seen of pruning and snapshots at the end. */
function rare({ nodes }: SimulatedMesh): { readonly pruned: number; readonly snapshots: number } {
  const all = [...nodes.values()];
  const pruned = all.filter(({ disk }) => disk.bases.size > 0).length;
  return { pruned, snapshots: all.reduce((sum, { snapshots }) => sum + snapshots, 0) };
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
    mesh.lose(node.name);
  }
}

function areEqual(nodes: readonly SimulatedNode[]): boolean {
  const vectors = nodes.map(({ disk }) => vectorOf(disk));
  return vectors.every((vector) => vector === vectors[0]) && nodes.every(({ disk }) => disk.importing === undefined);
}

function vectorOf(disk: SimulatedNode["disk"]): string {
  return JSON.stringify([...disk.vector()].sort());
}

/** What must hold when all troubles are over and time for healing has passed. */
function verdict(mesh: SimulatedMesh): readonly string[] {
  const { live } = mesh;
  const [witness] = live;
  // The last node of the one site that was left had forked: there is nobody who could hold anything.
  if (witness === undefined) return mesh.destroyed.size > 0 ? [] : ["no node is left"];
  const broken: string[] = [];
  if (!areEqual(live)) {
    const vectors = live.map(
      ({ name, disk }) => `${name} ${vectorOf(disk)}${disk.importing === undefined ? "" : ", importing"}`,
    );
    broken.push(`the nodes are not equal after healing: ${vectors.join("; ")}`);
  }
  // A node goes on with its log only where that is known to end, so two of one name can only be made up.
  if (mesh.counts.forked > 0) broken.push(`${mesh.counts.forked} nodes believe that their logs have forked`);
  for (const node of live) broken.push(...holes(mesh, node), ...positions(node));
  if (areEqual(live)) broken.push(...wrongStates(mesh));
  broken.push(...lost(mesh, witness));
  return broken.slice(0, 5);
}

/** Each origin's log is on each node the beginning of the one true log, without a gap behind what was pruned. */
function holes(mesh: SimulatedMesh, node: SimulatedNode): readonly string[] {
  return [...node.disk.logs].flatMap(([origin, log]) => {
    const base = node.disk.bases.get(origin)?.seq ?? 0;
    const wrong = log.findIndex(({ seq }, index) => seq !== base + index + 1);
    if (wrong >= 0) return [`${node.name} has a hole in the log of ${origin} before ${log[wrong]?.seq}`];
    const other = mesh.live.find(({ disk }) => !agree(disk.log(origin), log));
    return other === undefined ? [] : [`${node.name} and ${other.name} hold different logs of ${origin}`];
  });
}

function agree(one: readonly Operation[], other: readonly Operation[]): boolean {
  const bySequence = new Map(other.map((operation) => [operation.seq, operation]));
  return one.every(({ seq, mac }) => bySequence.get(seq)?.mac.equals(mac) ?? true);
}

function positions({ name, store, disk }: SimulatedNode): readonly string[] {
  const wrong = [...(store?.vector() ?? [])].filter(([origin, seq]) => disk.position(origin) !== seq);
  return wrong.map(([origin, seq]) => `${name} believes to hold ${seq} of ${origin}, its disk holds another`);
}

function lost(mesh: SimulatedMesh, witness: SimulatedNode): readonly string[] {
  const kept = mesh.acknowledged.filter((write) => mustSurvive(mesh, write));
  const missing = kept.filter(({ origin, head, mac }) => {
    const held = heldAs(mesh, origin, head);
    return witness.disk.position(origin) < head || held.every((operation) => operation.mac.toString("hex") !== mac);
  });
  return missing.slice(0, 3).map(({ node, head }) => `${head} of ${node} was acknowledged and is lost`);
}

/** Its own disk is what it was since, or that of every node of a site that must have held it. */
function mustSurvive({ durability, lostMs, nodes }: SimulatedMesh, write: Acknowledged): boolean {
  const isLost = (name: string) => (lostMs.get(name) ?? Number.NEGATIVE_INFINITY) >= write.atMs - write.tookMs;
  if (!isLost(write.node)) return true;
  const all = [...new Set([...nodes.keys(), ...lostMs.keys()])];
  const whole = (site: string) => !all.some((name) => name.startsWith(`${site}-`) && isLost(name));
  if (durability === "Local" || write.sites.length === 0) return false;
  return durability === "EverySite" ? write.sites.some(whole) : write.sites.every(whole);
}

/** The operation as the logs of those that are left have it; what was written as it, when all have pruned it. */
function heldAs(mesh: SimulatedMesh, origin: string, seq: number): readonly Operation[] {
  const versions = mesh.versions(origin, seq);
  if (versions.length < 2) return versions;
  const held = mesh.live.flatMap(({ disk }) => disk.log(origin).find((operation) => operation.seq === seq) ?? []);
  return held.length > 0 ? held.slice(0, 1) : versions;
}

/** The merged objects of each node are what all operations come to by the store's own law. */
function wrongStates(mesh: SimulatedMesh): readonly string[] {
  const [witness] = mesh.live;
  const operations = [...(witness?.disk.vector() ?? [])].flatMap(([origin, seq]) =>
    Array.from({ length: seq }, (_, index) => heldAs(mesh, origin, index + 1)),
  );
  if (operations.some(({ length }) => length === 0)) return ["a node holds an operation that nobody wrote"];
  const known = new Map<State, string>();
  const texts = mesh.live.map(({ disk }) => textOf(disk.objects, known));
  if (new Set(texts).size > 1) return ["nodes with the same vector have different objects"];
  // Which of two operations of one name it was, nobody can tell any more.
  if (operations.some(({ length }) => length > 1)) return [];
  return texts[0] === textOf(stateOf(mesh, operations.flat()), known)
    ? []
    : ["the nodes have other objects than their operations come to"];
}

function stateOf({ effects }: SimulatedMesh, operations: readonly Operation[]): ReadonlyMap<string, State> {
  const states = new Map<string, State>();
  for (const operation of operations)
    states.set(operation.object, join(states.get(operation.object) ?? nothing, effects.of(operation)));
  return states;
}

/** All objects as text; `texts` are those of states that several nodes share, worked out once. */
function textOf(states: ReadonlyMap<string, State>, texts: Map<State, string>): string {
  const entries = [...states].map(([id, state]) => {
    const text = texts.get(state) ?? encodeState(state);
    texts.set(state, text);
    return id + text;
  });
  return entries.sort().join();
}
