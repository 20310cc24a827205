import { setTimeout as pause } from "node:timers/promises";
import type { ProgramName } from "../../node-image/config/local-node.ts";
import type { Random } from "../../node-image/testing/random-stream.ts";
import type { Cut } from "./network.ts";
import type { Recorder } from "./record.ts";
import type { World } from "./world.ts";

/** What a fault works with. */
export interface Target {
  readonly world: World;
  readonly recorder: Recorder;
  readonly random: Random;
  /** Nodes that may be hurt now. */
  readonly nodes: readonly string[];
}

/** Does harm and gives what takes it away again. */
export type Fault = (target: Target) => Promise<() => void | Promise<void>>;

const programs: readonly ProgramName[] = ["keyServer", "postgres", "hsm", "time"];
const everything = /./;

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
};

async function killProgram({ world, recorder, random, nodes }: Target) {
  const [name, program] = [random.pick(nodes), random.pick(programs)];
  recorder.deed(`kill -9 ${program} of`, name);
  world.node(name).kill(program);
  return () => undefined; // The node starts it again by itself.
}

async function powerCut({ world, recorder, random, nodes }: Target) {
  const names = random.chance(0.2) ? sample(random, nodes, 2) : [random.pick(nodes)];
  recorder.deed("power cut of", ...names);
  await world.powerCut(names);
  return () => {
    recorder.deed("power for", ...names);
    for (const name of names) world.node(name).start();
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
  return () => {
    recorder.deed(`SIGCONT ${program} of`, name);
    signalAll(pids, "SIGCONT");
  };
}

async function pauseNode({ world, recorder, random, nodes }: Target) {
  const name = random.pick(nodes);
  recorder.deed("SIGSTOP all of", name);
  world.node(name).signal(/\/key-server\.ts\0/, "SIGSTOP");
  const pids = world.node(name).pids(everything);
  signalAll(pids, "SIGSTOP");
  return () => {
    recorder.deed("SIGCONT all of", name);
    signalAll(pids.toReversed(), "SIGCONT");
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
  const heal = world.network.cut(cuts);
  return () => {
    recorder.deed(`healed: ${what}`, ...nodes);
    heal();
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
  return () => {
    recorder.deed("room on the disk of", name);
    clear();
  };
}

async function slowDisk({ world, recorder, random, nodes }: Target) {
  const [name, ms] = [random.pick(nodes), random.pick([20, 100, 500, 2_000])];
  recorder.deed(`each flush ${ms} ms slower on`, name);
  world.setSlow(name, ms);
  return () => {
    recorder.deed("fast disk on", name);
    world.setSlow(name, 0);
  };
}

async function wrongClock({ world, recorder, random, nodes }: Target) {
  const [name, seconds] = [random.pick(nodes), random.pick([-3_600, -30, -1, 1, 30, 600, 7_200])];
  recorder.deed(`clock wrong by ${seconds} s on`, name);
  world.setClock(name, seconds);
  return () => {
    recorder.deed("right clock on", name);
    world.setClock(name, 0);
  };
}

/** What the node wrote since is gone from it; it comes back as it was, perhaps while nobody can tell it so. */
async function olderDisk({ world, recorder, random, nodes }: Target) {
  const name = random.pick(nodes);
  world.saveRunning(name, "older");
  recorder.deed("image taken of", name);
  await pause(random.between(300, 2_500));
  await world.powerCut([name]);
  recorder.lose(name);
  recorder.deed("starts with the older disk:", name);
  world.loadImage(name, "older");
  world.node(name).edit({});
  world.node(name).start();
  return () => undefined;
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
