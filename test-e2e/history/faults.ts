import { setTimeout as pause } from "node:timers/promises";
import type { ProgramName } from "../../node-image/config/local-node.ts";
import type { Random } from "../../node-image/testing/random-stream.ts";
import type { Cut } from "./network.ts";
import type { Recorder } from "./record.ts";
import { isStopped, type World } from "./world.ts";

/** What a fault works with. */
export interface Target {
  readonly world: World;
  readonly recorder: Recorder;
  readonly random: Random;
  /** Nodes that may be hurt now. */
  readonly nodes: readonly string[];
}

/** Takes the harm away again and tells whether it was seen to do any. */
export type Undo = () => boolean | Promise<boolean>;

/** Does harm and gives what takes it away; nothing when there was nobody to do it to. */
export type Fault = (target: Target) => Promise<Undo | undefined>;

const programs: readonly ProgramName[] = ["keyServer", "postgres", "hsm", "time"];
const everything = /./;
const statusDeadlineMs = 20_000;
// Below so much room a node stops writing.
const littleRoom = 64 * 1024 ** 2;

/** Every kind of harm, with how often it is chosen. */
export const faults: Readonly<Record<string, { readonly weight: number; readonly run: Fault }>> = {
  killProgram: { weight: 4, run: killProgram },
  powerCut: { weight: 3, run: powerCut },
  pauseProgram: { weight: 2, run: pauseProgram },
  pauseNode: { weight: 2, run: pauseNode },
  cutOneWay: { weight: 3, run: cutOneWay },
  cutBothWays: { weight: 2, run: cutBothWays },
  isolateNode: { weight: 2, run: isolateNode },
  isolateSite: { weight: 2, run: isolateSite },
  fullDisk: { weight: 2, run: fullDisk },
  slowDisk: { weight: 2, run: slowDisk },
  wrongClock: { weight: 2, run: wrongClock },
  olderDisk: { weight: 2, run: olderDisk },
  otherVersion: { weight: 3, run: otherVersion },
};

async function killProgram({ world, recorder, random, nodes }: Target) {
  const [name, program] = [random.pick(nodes), random.pick(programs)];
  recorder.deed(`kill -9 ${program} of`, name);
  const hit = world.node(name).kill(program);
  return () => hit > 0; // The node starts it again by itself.
}

async function powerCut({ world, recorder, random, nodes }: Target) {
  const names = random.chance(0.2) ? sample(random, nodes, 2) : [random.pick(nodes)];
  recorder.deed("power cut of", ...names);
  await world.powerCut(names);
  const dark = names.every((name) => world.node(name).pids(everything).length === 0);
  return () => {
    recorder.deed("power for", ...names);
    for (const name of names) world.node(name).start();
    return dark;
  };
}

async function pauseProgram({ world, recorder, random, nodes }: Target) {
  const [name, program] = [random.pick(nodes), random.pick(programs)];
  recorder.deed(`SIGSTOP ${program} of`, name);
  const pids = world
    .node(name)
    .pids(program)
    .flatMap((pid) => [pid, ...(program === "postgres" ? world.node(name).pids(/^postgres: /) : [])]);
  signalAll(pids, "SIGSTOP");
  const stopped = pids.some(isStopped);
  return () => {
    recorder.deed(`SIGCONT ${program} of`, name);
    signalAll(pids, "SIGCONT");
    return stopped;
  };
}

async function pauseNode({ world, recorder, random, nodes }: Target) {
  const name = random.pick(nodes);
  recorder.deed("SIGSTOP all of", name);
  world.node(name).signal(/\/key-server\.ts\0/, "SIGSTOP");
  const pids = world.node(name).pids(everything);
  signalAll(pids, "SIGSTOP");
  const stopped = pids.some(isStopped);
  return () => {
    recorder.deed("SIGCONT all of", name);
    signalAll(pids.toReversed(), "SIGCONT");
    return stopped;
  };
}

async function cutOneWay({ world, recorder, random, nodes }: Target) {
  const [from = "", to = ""] = sample(random, nodes, 2);
  return cut({ world, recorder, cuts: [[from, to]], what: "cut one way", nodes: [from, to] });
}

async function cutBothWays({ world, recorder, random, nodes }: Target) {
  const [one = "", other = ""] = sample(random, nodes, 2);
  const cuts: Cut[] = [
    [one, other],
    [other, one],
  ];
  return cut({ world, recorder, cuts, what: "cut", nodes: [one, other] });
}

async function isolateNode({ world, recorder, random, nodes }: Target) {
  const name = random.pick(nodes);
  return cut({ world, recorder, cuts: around(world, [name]), what: "isolated", nodes: [name] });
}

async function isolateSite({ world, recorder, random, nodes }: Target) {
  const site = world.site(random.pick(nodes));
  const names = [...world.fleet.nodes.keys()].filter((name) => world.site(name) === site);
  return cut({ world, recorder, cuts: around(world, names), what: `site ${site} isolated:`, nodes: names });
}

function cut(parts: {
  world: World;
  recorder: Recorder;
  cuts: readonly Cut[];
  what: string;
  nodes: readonly string[];
}) {
  const { world, recorder, cuts, what, nodes } = parts;
  recorder.deed(what, ...nodes);
  const { heal } = world.network.cut(cuts);
  return () => {
    recorder.deed(`healed: ${what}`, ...nodes);
    return heal() > 0;
  };
}

function around(world: World, names: readonly string[]): Cut[] {
  const others = [...world.fleet.nodes.keys()].filter((name) => !names.includes(name));
  return names.flatMap((name) =>
    others.flatMap((other): Cut[] => [
      [name, other],
      [other, name],
    ]),
  );
}

async function fullDisk({ world, recorder, random, nodes }: Target) {
  const name = random.pick(nodes);
  const left = random.pick([0, 64, 2_048]);
  recorder.deed(`disk full (${left} KiB left) of`, name);
  const clear = world.fillDisk(name, left);
  const full = world.freeBytes(name) < littleRoom;
  return () => {
    recorder.deed("room on the disk of", name);
    clear();
    return full;
  };
}

async function slowDisk({ world, recorder, random, nodes }: Target) {
  const [name, ms] = [random.pick(nodes), random.pick([20, 100, 500, 2_000])];
  recorder.deed(`each flush ${ms} ms slower on`, name);
  const before = world.slowFlushes(name);
  world.setSlow(name, ms);
  return () => {
    recorder.deed("fast disk on", name);
    world.setSlow(name, 0);
    return world.slowFlushes(name) > before;
  };
}

async function wrongClock({ world, recorder, random, nodes }: Target) {
  const [name, seconds] = [random.pick(nodes), random.pick([-3_600, -30, -3, 3, 30, 600, 7_200])];
  recorder.deed(`clock wrong by ${seconds} s on`, name);
  world.setClock(name, seconds);
  return async () => {
    const offMs = await world.clockOffset(name);
    recorder.deed("right clock on", name);
    world.setClock(name, 0);
    return offMs !== undefined && offMs / (seconds * 1000) > 0.5;
  };
}

/** What the node wrote since is gone from it; it comes back as it was, perhaps while nobody can tell it so. */
async function olderDisk({ world, recorder, random, nodes }: Target) {
  const name = random.pick(nodes);
  const head = () => world.fleet.vector(name).then(JSON.stringify, () => undefined);
  await world.saveRunning(name, "older");
  const then = await head();
  recorder.deed("image taken of", name);
  await pause(random.between(300, 2_500));
  const now = await head();
  await world.powerCut([name]);
  recorder.lose(name);
  recorder.deed("starts with the older disk:", name);
  world.loadImage(name, "older");
  world.node(name).edit({});
  world.node(name).start();
  // Whether anything was forgotten is known when the node could be asked.
  return () => then !== undefined && now !== undefined && then !== now;
}

/** An upgrade, or its being taken back, ended in order or by a power cut; the mesh is mixed while it writes. */
async function otherVersion({ world, recorder, random, nodes }: Target) {
  const change = world.pickVersion(random, nodes);
  if (change === undefined) return undefined;
  const { name, next } = change;
  recorder.deed(`${next ? "upgrade" : "upgrade taken back"} of`, name);
  // First, so that whoever starts the node meanwhile starts the right one.
  world.install(name, next);
  if (random.chance(0.5)) await world.node(name).stop();
  else await world.powerCut([name]);
  world.node(name).start();
  if (next && world.raiseLevel(random, name)) recorder.deed("feature level raised for", ...world.raised);
  return () => world.runs(name, next, statusDeadlineMs);
}

function sample(random: Random, nodes: readonly string[], count: number): string[] {
  const left = [...nodes];
  return Array.from(
    { length: Math.min(count, left.length) },
    () => left.splice(random.between(0, left.length - 1), 1)[0] as string,
  );
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended meanwhile.
    }
  }
}
