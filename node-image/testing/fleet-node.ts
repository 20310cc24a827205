import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Condition, KmsNode, KmsNodeSpec, KmsNodeStatus } from "@keyfleet/crds/kms-node.ts";
import { stringify } from "yaml";
import { replaceFile } from "../config/durable-file.ts";
import { readStatusFile, statusFileOf } from "../config/file-source.ts";
import type { ProgramName } from "../config/local-node.ts";
import { noteSecret, Output, type Written } from "./leak-search.ts";
import { type Child, startChild } from "./process.ts";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
const pollMs = 50;
const metricsTimeoutMs = 2_000;
// The user of the images; PostgreSQL refuses root.
const user = 10_001;
const ports = { kmip: 5696, mesh: 5432, health: 8080 } as const;

/** How the processes of a node are told apart by what stands in their command lines. */
const commandLines: Readonly<Record<ProgramName, RegExp>> = {
  keyServer: /^[^\0]*node\0.*\/key-server\.ts\0/,
  hsm: /^[^\0]*node\0.*\/hsm-sidecar\.ts\0/,
  postgres: /^[^\0]*\/postgres\0-D/,
  time: /^chronyd\0/,
};

export interface FleetNodeOptions {
  readonly name: string;
  readonly site: string;
  readonly cluster: string;
  readonly version: string;
  /** A loopback address of its own; all ports are the standard ones. */
  readonly address: string;
  readonly timeServer: string;
  readonly folder: string;
  /** Adds to the node's LocalNode document. */
  readonly local?: Readonly<Record<string, unknown>>;
  /** Put before the node's command, for example to start it in a network of its own. */
  readonly enter?: readonly string[];
  /** Called with each line that the node writes. */
  readonly heard?: (line: string) => void;
}

/** One standalone node of a test: real PostgreSQL, chrony, SoftHSM and key server inside the node image's file system. */
export class FleetNode {
  readonly name: string;
  readonly site: string;
  readonly address: string;
  readonly kmipPort = ports.kmip;
  readonly healthUrl: string;
  readonly #options: FleetNodeOptions;
  readonly #file: string;
  readonly #localFile: string;
  readonly #output: Output;
  #spec: KmsNodeSpec;
  #child: Child | undefined;
  #software = checkout;

  constructor(options: FleetNodeOptions) {
    const { name, site, address, folder } = options;
    this.name = name;
    this.site = site;
    this.address = address;
    this.healthUrl = `http://${address}:${ports.health}`;
    this.#options = options;
    this.#output = new Output(`the output of ${name}`);
    // Not on the node's disk: its operator speaks to it also when that is full.
    this.#file = join(folder, "run/node.yaml");
    this.#localFile = join(folder, "run/local.yaml");
    this.#spec = firstSpec(options);
    for (const each of ["data", "run"]) mkdirSync(join(folder, each), { recursive: true });
    writeFileSync(join(folder, "data/pin"), this.#knownPin(`${name}-1234`), { mode: 0o600 });
    this.edit({});
    for (const each of ["", "data", "data/pin", "run", "run/node.yaml", "run/local.yaml"])
      chownSync(join(folder, each), user, user);
  }

  /** What is on its disk, in `data`, and in its memory file system, in `run`. */
  get folder(): string {
    return this.#options.folder;
  }

  get spec(): KmsNodeSpec {
    return this.#spec;
  }

  get status(): KmsNodeStatus | undefined {
    return readStatusFile(this.#file);
  }

  /** Where the node reads its document. */
  get documentFile(): string {
    return this.#file;
  }

  /** Where the node writes its status. */
  get statusFile(): string {
    return statusFileOf(this.#file);
  }

  /** What the node and its programs wrote, the last lines. */
  get lines(): readonly string[] {
    return this.#child?.lines ?? [];
  }

  /** Changes the document as the operator would. */
  edit(change: Partial<KmsNodeSpec>): void {
    this.#spec = { ...this.#spec, ...change };
    const metadata = { name: this.name };
    const node: KmsNode = { apiVersion: "keyfleet.io/v1alpha1", kind: "KmsNode", metadata, spec: this.#spec };
    const pinFile = "/var/lib/keyfleet/pin";
    const local = {
      kind: "LocalNode",
      listen: this.address,
      healthPort: ports.health,
      pinFile,
      ...this.#options.local,
    };
    replaceFile(this.#localFile, stringify(local), 0o644);
    replaceFile(this.#file, stringify(node), 0o644);
  }

  /** The file that holds the PIN of the node's token. */
  setPin(pin: string): void {
    writeFileSync(join(this.#options.folder, "data/pin"), this.#knownPin(pin));
    chmodSync(join(this.#options.folder, "data/pin"), 0o644);
  }

  /** The next start runs the software of that folder, laid out as the checkout; none: that of the checkout. */
  install(software = checkout): void {
    this.#software = software;
  }

  start(): void {
    if (this.#child?.running()) return;
    // Own mount and process namespaces: nothing is mounted in the machine's, and the end of the first is the end of all.
    const dying = ["--pdeathsig", "KILL", "--"] as const;
    const namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--"] as const;
    const command = ["sh", "-euc", inside, "sh", nodeRootfs(), this.folder, this.#software];
    const { enter = [], heard } = this.#options;
    const hear = (line: string) => {
      this.#output.add(line);
      heard?.(line);
    };
    this.#child = startChild(["setpriv", ...dying, ...enter, ...namespaces, ...command], {
      name: this.name,
      heard: hear,
    });
  }

  /** Asks the whole node to end and waits. */
  async stop(): Promise<void> {
    this.signal(/^node\0.*\/standalone\.ts\0/, "SIGTERM");
    await Promise.race([this.#child?.ended, pause(20_000, undefined, { ref: false })]);
    await this.killAll();
  }

  /** SIGKILL to everything at once, as a power cut. */
  async killAll(): Promise<void> {
    const pids = this.pids(/./); // Before the first one dies: orphans have another parent.
    for (const pid of pids) killQuietly(pid, "SIGKILL");
    await this.#child?.ended;
  }

  /** SIGKILL to one program; the node starts it again. Returns how many processes were hit. */
  kill(program: ProgramName): number {
    return this.signal(commandLines[program], "SIGKILL");
  }

  signal(commandLine: RegExp, signal: NodeJS.Signals): number {
    const pids = this.pids(commandLine);
    for (const pid of pids) killQuietly(pid, signal);
    return pids.length;
  }

  /** Ids of this node's processes whose command line (NUL-separated) matches; only descendants of what was started here. */
  pids(commandLine: RegExp | ProgramName): number[] {
    const pattern = typeof commandLine === "string" ? commandLines[commandLine] : commandLine;
    const root = this.#child?.pid;
    return root === undefined ? [] : descendants(root).filter((pid) => pattern.test(commandLineOf(pid)));
  }

  /** Runs a program inside the node as its own programs run; resolves with its exit code and output. */
  async run(
    command: readonly string[],
  ): Promise<{ readonly code: number | string; readonly lines: readonly string[] }> {
    const [pid] = this.pids("keyServer");
    const inside = ["--target", String(pid), "--mount", "--pid", "--net", "--root", "--wd"];
    const as = ["--setuid", String(user), "--setgid", String(user)];
    const child = startChild(["nsenter", ...inside, ...as, "--", ...command], {
      name: `${this.name} ${command[0]}`,
      heard: (line) => this.#output.add(line),
    });
    return { code: await child.ended, lines: child.lines };
  }

  /** What the node's metrics say now; nothing when it does not answer. */
  async metrics(): Promise<string> {
    const answer = fetch(`${this.healthUrl}/metrics`, { signal: AbortSignal.timeout(metricsTimeoutMs) });
    return answer.then((response) => response.text()).catch(() => "");
  }

  /** Secrets that its processes wrote, and the other texts that it shows: to be searched before its folder is removed. */
  shown(): { readonly leaks: readonly string[]; readonly texts: readonly Written[] } {
    const logs = join(this.folder, "data/logs");
    const files = existsSync(logs) ? readdirSync(logs).map((name) => join(logs, name)) : [];
    const shown = [this.statusFile, ...files].filter((file) => existsSync(file));
    const texts = shown.map((file): Written => [file, readFileSync(file, "utf8")]);
    return { leaks: this.#output.leaks(), texts };
  }

  #knownPin(pin: string): string {
    noteSecret(`the PIN of ${this.name}`, Buffer.from(pin));
    return pin;
  }

  condition(type: string): Condition | undefined {
    return this.status?.conditions?.find((condition) => condition.type === type);
  }

  /** Resolves with what `look` returns once it is neither undefined nor false; rejects with the node's state at the deadline. */
  async reached<Value>(
    what: string,
    look: (status: KmsNodeStatus) => Value | undefined | false,
    deadlineMs = 240_000,
  ): Promise<Value> {
    const end = performance.now() + deadlineMs;
    while (performance.now() < end) {
      const { status } = this;
      const value = status === undefined ? undefined : look(status);
      if (value !== undefined && value !== false) return value;
      await pause(pollMs);
    }
    throw new Error(
      `${this.name} has not reached "${what}": ${JSON.stringify(this.status?.conditions)}\n${this.lines.slice(-30).join("\n")}`,
    );
  }

  /** Waits for a condition, and its reason where given. */
  reachedCondition(type: string, status: string, reason?: string): Promise<Condition> {
    const fits = (each: Condition) =>
      each.type === type && each.status === status && (reason ?? each.reason) === each.reason;
    return this.reached(`${type}=${status} ${reason ?? ""}`, (now) => now.conditions?.find(fits));
  }
}

// The shell stays the namespace's first process: it is told of its parent's death, which a program that has changed its
// user is not, and its end is the end of all. The layout is a machine's with the image's content.
const inside = `
  mount --rbind /dev "$1/dev"
  mount -t proc proc "$1/proc"
  mount -t tmpfs tmpfs "$1/tmp"
  mount --bind -o ro "$3" "$1/opt/keyfleet"
  mount --bind "$2/data" "$1/var/lib/keyfleet"
  mount --bind "$2/run" "$1/run/keyfleet"
  chroot --userspec=${user}:${user} "$1" /usr/bin/env -i PATH=/opt/keyfleet/node_modules/.bin:/usr/sbin:/usr/bin:/sbin:/bin \
    NODE_COMPILE_CACHE=/var/lib/keyfleet/compiled \
    node /opt/keyfleet/node-image/standalone.ts /run/keyfleet/node.yaml /run/keyfleet/local.yaml`;

function firstSpec(options: FleetNodeOptions): KmsNodeSpec {
  const { name, site, cluster, version, address, timeServer } = options;
  return {
    cluster,
    site,
    version,
    featureLevel: version,
    address,
    clientAddress: address,
    settings: {
      ntp: { servers: [timeServer], maxOffsetMs: 250 },
      hsm: {
        library: "/usr/lib/softhsm/libsofthsm2.so",
        token: { label: name },
        keyLabel: `${cluster}-${name}`,
        softToken: { initialise: true },
      },
    },
    durability: "EverySite",
    membership: { action: "None" },
    members: [],
    clients: { caBundle: "", administrators: [] },
  };
}

/** The unpacked file system of the node image; throws with what to do when it was not made. */
function nodeRootfs(): string {
  const { KEYFLEET_CACHE, XDG_CACHE_HOME } = process.env;
  const rootfs = join(KEYFLEET_CACHE ?? join(XDG_CACHE_HOME ?? join(homedir(), ".cache"), "keyfleet"), "rootfs/node");
  if (readdirSync(rootfs).includes("usr")) return rootfs;
  throw new Error(`${rootfs} is empty: run "make images" first`);
}

function descendants(root: number): number[] {
  const parents = new Map(
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map((name) => [Number(name), parentOf(Number(name))]),
  );
  const found = [root];
  for (const parent of found) for (const [pid, its] of parents) if (its === parent) found.push(pid);
  return found;
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  } catch {
    return undefined; // It ended while we looked.
  }
}

function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

function killQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself a moment ago.
  }
}
