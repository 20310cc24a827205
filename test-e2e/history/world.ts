import { execFileSync, spawnSync } from "node:child_process";
import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Fleet, type FleetDocuments, softwareVersion } from "../../node-image/testing/fleet.ts";
import type { FleetNode } from "../../node-image/testing/fleet-node.ts";
import type { Random } from "../../node-image/testing/random-stream.ts";
import { nextVersion, writeNextVersion } from "../sites/next-version.ts";
import { checkout } from "../sites/places.ts";
import { Network, network } from "./network.ts";
import type { Recorder } from "./record.ts";

const diskSize = "320m";
const user = 10_001;
const fakeTime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
const readyDeadlineMs = 240_000;
// Let the last lines of a frozen node come through before it is killed: they say what its answers promised.
const drainMs = 400;
const stopPollMs = 20;
const forwardShare = 0.7;
const hastyShare = 0.25;

/** Members are dc1-a, dc1-b, dc2-a, … over three sites. */
export function memberNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `dc${1 + (index % 3)}-${"abcdefg"[Math.floor(index / 3)]}`);
}

/** A fleet in namespaces of its own, with a disk of its own for each node, that can be set back to how it was made. */
export class World {
  readonly fleet: Fleet;
  readonly network: Network;
  readonly spare = "dc1-s";
  readonly #folder: string;
  readonly #recorder: () => Recorder;
  readonly #nextSoftware: string;
  readonly #next = new Set<string>();
  readonly #raised = new Set<string>();
  #template: FleetDocuments | undefined;

  private constructor(parts: { fleet: Fleet; network: Network; folder: string; recorder: () => Recorder }) {
    this.fleet = parts.fleet;
    this.network = parts.network;
    this.#folder = parts.folder;
    this.#recorder = parts.recorder;
    this.#nextSoftware = makeNextVersion(parts.folder);
  }

  /** Needs a process in network and mount namespaces of its own; `folder` is in memory. */
  static async make(folder: string, recorder: () => Recorder): Promise<World> {
    const slow = join(folder, "slow-fsync.so");
    const source = join(import.meta.dirname, "../../node-image/testing/slow-fsync.c");
    execFileSync("gcc", ["-shared", "-fPIC", "-O2", "-o", slow, source, "-ldl"]);
    const wires = new Network();
    const fleet = await Fleet.start({
      network,
      folder: join(folder, "nodes"),
      nodeOptions: (name, place) => {
        makeDisk(place.folder, slow);
        return {
          enter: wires.plug(name, place.address),
          heard: (line) => recorder().heard(name, line),
          local: { programs: preloads },
        };
      },
    });
    return new World({ fleet, network: wires, folder, recorder });
  }

  node(name: string): FleetNode {
    return this.fleet.node(name);
  }

  /** Members that are there: not those that were destroyed, though they are listed. */
  get members(): readonly string[] {
    const listed = this.fleet.members.filter(({ standing }) => standing === "Member").map(({ name }) => name);
    return listed.filter((name) => !this.#recorder().destroyed.has(name));
  }

  site(name: string): string {
    return this.node(name).site;
  }

  /** Makes members one after the other and a spare that is ready to join, and keeps all of it as the template. */
  async form(names: readonly string[]): Promise<void> {
    await Promise.all([...names, this.spare].map((name) => this.fleet.add(name)));
    const [first = "", ...others] = names;
    await this.fleet.found(first);
    for (const [index, name] of others.entries()) await this.fleet.join(name, names[index] ?? first);
    await this.node(this.spare).reached("a join key", (status) => status.joinPublicKey);
    await Promise.all([...this.fleet.nodes.values()].map((node) => node.stop()));
    for (const name of [...names, this.spare]) this.saveImage(name, "template");
    this.#template = this.fleet.documents();
  }

  /** Sets every node back to the template and starts the members. */
  async reset(): Promise<void> {
    if (this.#template === undefined) throw new Error("form the fleet first");
    const names = [...this.fleet.nodes.keys()];
    await Promise.all(names.map((name) => this.node(name).killAll()));
    for (const name of names) this.loadImage(name, "template");
    this.#raised.clear();
    for (const name of names) this.install(name, false);
    this.fleet.restore(this.#template);
    for (const name of this.members) this.node(name).start();
    await Promise.all(this.members.map((name) => this.serving(name)));
  }

  async serving(name: string, deadlineMs = readyDeadlineMs): Promise<void> {
    const end = performance.now() + deadlineMs;
    let said = "";
    while (performance.now() < end) {
      try {
        const answer = await fetch(`${this.node(name).healthUrl}/readyz`, { signal: AbortSignal.timeout(2_000) });
        if (answer.ok) return;
        said = await answer.text();
      } catch (error) {
        said = (error as Error).message;
      }
      await pause(100);
    }
    throw new Error(`${name} does not serve: ${said}\n${this.node(name).lines.slice(-30).join("\n")}`);
  }

  /** Stops the key server first, so that nothing is answered whose circumstances are not known, then ends all. */
  async powerCut(names: readonly string[]): Promise<void> {
    for (const name of names) this.node(name).signal(/\/key-server\.ts\0/, "SIGSTOP");
    await pause(drainMs);
    await Promise.all(names.map((name) => this.node(name).killAll()));
  }

  /** Cuts the power and throws the disks away. */
  async destroy(names: readonly string[]): Promise<void> {
    await this.powerCut(names);
    for (const name of names) {
      this.#recorder().lose(name);
      this.#recorder().destroyed.add(name);
      emptyFolder(this.#disk(name));
    }
  }

  /** Takes an image of the disk as a power cut would leave it: while every process is stopped, also those that came meanwhile. */
  async saveRunning(name: string, image: string): Promise<void> {
    let pids: readonly number[] = [];
    for (;;) {
      const now = this.node(name).pids(/./);
      if (now.every((pid) => pids.includes(pid) && isStopped(pid))) break;
      pids = now;
      for (const pid of pids) signal(pid, "SIGSTOP");
      await pause(stopPollMs);
    }
    try {
      this.saveImage(name, image);
    } finally {
      for (const pid of pids.toReversed()) signal(pid, "SIGCONT");
    }
  }

  /** Copies the disk of a node that does not run, or is stopped as a whole. */
  saveImage(name: string, image: string): void {
    const target = join(this.#folder, "images", image, name);
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target, { recursive: true });
    execFileSync("cp", ["-a", `${this.#disk(name)}/.`, target]);
  }

  /** Puts the image in the place of the disk of a node that does not run. */
  loadImage(name: string, image: string): void {
    emptyFolder(this.#disk(name));
    // What an earlier life said of itself must not be taken for news.
    rmSync(this.node(name).statusFile, { force: true });
    execFileSync("cp", ["-a", `${join(this.#folder, "images", image, name)}/.`, this.#disk(name)]);
    // Of a disk that was full when its image was taken: nobody would make room again.
    rmSync(this.#filler(name), { force: true });
    this.setClock(name, 0);
    this.setSlow(name, 0);
  }

  /** Lets the clock of the node's key server be wrong by so many seconds, within a second. */
  setClock(name: string, seconds: number): void {
    writeFileSync(join(this.node(name).folder, "run/clock"), `${seconds < 0 ? "" : "+"}${seconds}\n`);
  }

  /** Lets each flush to the disk take so much longer. */
  setSlow(name: string, ms: number): void {
    writeFileSync(join(this.node(name).folder, "run/slow"), `${ms}`);
  }

  /** Fills the disk but for so many KiB; what it returns makes room again. */
  fillDisk(name: string, leftKiB: number): () => void {
    // Written, not allocated: what the node writes meanwhile must not let it fail.
    spawnSync("sh", [
      "-c",
      `df --output=avail -k "$1" | tail -1 | { read free; head -c "$((free > $2 ? free - $2 : 0))K" /dev/zero >"$3"; }`,
      "sh",
      this.#disk(name),
      `${leftKiB}`,
      this.#filler(name),
    ]);
    return () => rmSync(this.#filler(name), { force: true });
  }

  #filler(name: string): string {
    return join(this.#disk(name), "filler");
  }

  /** Room that is left on the disk of the node, bytes. */
  freeBytes(name: string): number {
    const { bavail, bsize } = statfsSync(this.#disk(name));
    return bavail * bsize;
  }

  /** How many flushes of the node were made slow so far. */
  slowFlushes(name: string): number {
    return statSync(join(this.node(name).folder, "run/slow.waits"), { throwIfNoEntry: false })?.size ?? 0;
  }

  /** How far the clock of the node's key server is from this machine's, ms, to a second; undefined when it does not answer. */
  async clockOffset(name: string): Promise<number | undefined> {
    try {
      const answer = await fetch(`${this.node(name).healthUrl}/livez`, { signal: AbortSignal.timeout(2_000) });
      return Date.parse(answer.headers.get("date") ?? "") - Date.now();
    } catch {
      return undefined;
    }
  }

  /** Whom to give another version: mostly a node that does not have the next one, now and then one that goes back. */
  pickVersion(random: Random, names: readonly string[]): { readonly name: string; readonly next: boolean } | undefined {
    const [upgraded = [], old = []] = [true, false].map((next) =>
      names.filter((name) => this.#next.has(name) === next),
    );
    const back = upgraded.filter((name) => !this.#raised.has(name));
    const next = back.length === 0 || random.chance(forwardShare);
    const candidates = next ? old : back;
    return candidates.length === 0 ? undefined : { name: random.pick(candidates), next };
  }

  /** The node's next start runs the next version, or this one. */
  install(name: string, next: boolean): void {
    if (next) this.#next.add(name);
    else this.#next.delete(name);
    this.node(name).install(next ? this.#nextSoftware : undefined);
    this.node(name).edit({ version: next ? nextVersion(softwareVersion()) : softwareVersion() });
  }

  /**
   * Lets nodes write what only the next version knows: all when all run it; now and then the one that was upgraded just now,
   * long before the operator would: the others keep what they do not understand.
   */
  raiseLevel(random: Random, name: string): boolean {
    const all = this.allUpgraded;
    if (!all && !random.chance(hastyShare)) return false;
    if (all) this.install(this.spare, true);
    for (const each of all ? this.fleet.nodes.keys() : [name]) {
      this.#raised.add(each);
      this.node(each).edit({ featureLevel: nextVersion(softwareVersion()) });
    }
    return true;
  }

  /** Whether every member was given the next version. */
  get allUpgraded(): boolean {
    return this.members.every((member) => this.#next.has(member));
  }

  /** Whether nobody is left to upgrade or to be taken back. */
  get allRaised(): boolean {
    return this.members.every((member) => this.#raised.has(member));
  }

  /** Nodes that write what only the next version knows; they do not go back. */
  get raised(): readonly string[] {
    return [...this.#raised];
  }

  /** Whether the node came to run that version; waits for it. */
  async runs(name: string, next: boolean, deadlineMs: number): Promise<boolean> {
    const wanted = next ? nextVersion(softwareVersion()) : softwareVersion();
    const reached = this.node(name).reached(`version ${wanted}`, ({ version }) => version === wanted, deadlineMs);
    return reached.then(
      () => true,
      () => false,
    );
  }

  #disk(name: string): string {
    return join(this.node(name).folder, "data");
  }
}

// Both libraries lie on the run folder, which is not part of a disk's image.
const preloads = {
  keyServer: {
    environment: {
      LD_PRELOAD: "/run/keyfleet/libfaketime.so.1",
      FAKETIME_TIMESTAMP_FILE: "/run/keyfleet/clock",
      FAKETIME_CACHE_DURATION: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      FAKETIME_NO_CACHE: "0",
      DONT_FAKE_MONOTONIC: "1",
    },
  },
  postgres: { environment: { LD_PRELOAD: "/run/keyfleet/slow-fsync.so", KEYFLEET_SLOW: "/run/keyfleet/slow" } },
};

/** The next version of the software over this one's, and where it is. */
function makeNextVersion(folder: string): string {
  const [changed, whole] = [join(folder, "next-version/changed"), join(folder, "next-version/whole")];
  mkdirSync(whole, { recursive: true });
  writeNextVersion(changed, softwareVersion());
  const places = `lowerdir=${changed}:${checkout}`;
  execFileSync("mount", ["-t", "overlay", "-o", places, "next-version", whole]);
  return whole;
}

function makeDisk(folder: string, slow: string): void {
  for (const name of ["data", "run"]) mkdirSync(join(folder, name), { recursive: true });
  execFileSync("mount", [
    "-t",
    "tmpfs",
    "-o",
    `size=${diskSize},mode=755,uid=${user},gid=${user}`,
    "disk",
    join(folder, "data"),
  ]);
  if (!existsSync(fakeTime)) throw new Error(`${fakeTime} is missing: run ./setup.sh`);
  copyFileSync(fakeTime, join(folder, "run/libfaketime.so.1"));
  copyFileSync(slow, join(folder, "run/slow-fsync.so"));
  writeFileSync(join(folder, "run/clock"), "+0\n");
  writeFileSync(join(folder, "run/slow"), "0");
  chownSync(join(folder, "run"), user, user);
}

/** Stopped by a signal; one that has ended, or waits to be reaped, writes nothing either. */
export function isStopped(pid: number): boolean {
  try {
    return /^State:\s+[TZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return true;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
}

function emptyFolder(folder: string): void {
  execFileSync("find", [folder, "-mindepth", "1", "-delete"]);
}
