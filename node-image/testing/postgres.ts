import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, statfsSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { scratchFolder } from "./scratch-folder.ts";

/** A PostgreSQL 18 of the product's own image and start.sh, on loopback and a unix socket; thrown away by `stop`. */
export interface TestPostgres {
  readonly socketDirectory: string;
  /** Where the key server writes the mesh configuration. */
  readonly confDirectory: string;
  readonly port: number;
  /** SIGKILL to every process at once; the data stays. */
  kill(): Promise<void>;
  /** SIGTERM to start.sh as at the end of a container; resolves when all of it has ended. */
  terminate(): Promise<void>;
  /** Starts it again on the same data. */
  start(): Promise<void>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
  /** What it wrote to stdout and stderr, the last lines. */
  output(): string;
  /** The folder of the database as it is now; also that of a small disk, which is mounted for this PostgreSQL only. */
  dataFolder(): string;
  /** Ids of all its processes. */
  pids(): readonly number[];
  /** SIGKILL to the first process of PostgreSQL alone. */
  killPostmaster(): void;
  /** SIGKILL to the start.sh that runs PostgreSQL, which goes on without it. */
  killStartScript(): void;
}

/** What differs from a PostgreSQL with all the room there is. */
export interface TestPostgresOptions {
  /** Puts it on the machine's disk, so that flushes cost what they cost there; else it may be in memory. */
  readonly onDisk?: boolean;
  /** Size of its disk in MiB. What is on it is gone when it is killed or terminated. */
  readonly diskMebibytes?: number;
  /** Each flush to the disk waits for as many milliseconds as the file "run/slow" below this folder says. */
  readonly slowDisk?: boolean;
  /** The folder of the database is named by a symbolic link, as administrators do to put it on another disk. */
  readonly linked?: boolean;
}

const START_DEADLINE_MS = 90_000;
const OUTPUT_MAX = 20_000;
const MEMORY_MIN = 2 * 1024 ** 3;
// The user of the images; PostgreSQL refuses root.
const USER = 10_001;

/** Starts one; rejects with what to do when the node image's file system is not there. */
export async function startPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  const rootfs = nodeRootfs();
  const folder = scratchFolder(options.onDisk ? tmpdir() : roomyFolder(), "kf-pg-");
  for (const name of ["data", "run"]) mkdirSync(join(folder, name));
  for (const path of [folder, join(folder, "data"), join(folder, "run")]) chownSync(path, USER, USER);
  if (options.linked) symlinkSync("data", join(folder, "link"));
  const port = await freePort();
  const socketDirectory = join(folder, "run/postgres");
  let child: ChildProcess | undefined;
  let output = "";

  const start = async () => {
    child = spawnInside({ rootfs, folder, port, options });
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-OUTPUT_MAX);
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    await answering({ socketDirectory, port, child, output: () => output });
  };
  const kill = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    // "close", not "exit": the last process of the namespace has let go of its output.
    await once(child, "close");
  };
  const terminate = async () => {
    // unshare, the shell of root, start.sh
    const [shell] = childrenOf(child?.pid ?? 0);
    const [script] = childrenOf(shell ?? 0);
    if (child === undefined || script === undefined) throw new Error("PostgreSQL does not run");
    process.kill(script, "SIGTERM");
    await once(child, "close");
  };
  const stop = async () => {
    await kill();
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  };
  const killPostmaster = () => {
    const first = readFileSync(join(dataFolder(), "18/postmaster.pid"), "utf8").split("\n")[0];
    const shell = childrenOf(child?.pid ?? 0)[0];
    // In the ids of the namespace, so that nobody else's process can be meant.
    spawnSync("nsenter", ["-t", String(shell), "-p", "-m", "kill", "-9", String(first)]);
  };
  const killStartScript = () => {
    // unshare, the shell of root, the start.sh that stays, the one of this PostgreSQL
    const [shell] = childrenOf(child?.pid ?? 0);
    const [script] = childrenOf(shell ?? 0);
    const [once] = childrenOf(script ?? 0);
    if (once === undefined) throw new Error("PostgreSQL does not run");
    process.kill(once, "SIGKILL");
  };
  const dataFolder = () => `/proc/${childrenOf(child?.pid ?? 0)[0]}/root${join(folder, "data")}`;
  if (options.slowDisk) buildSlowDisk(folder);
  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    socketDirectory,
    confDirectory: join(socketDirectory, "conf"),
    port,
    kill,
    terminate,
    start,
    stop,
    output: () => output,
    dataFolder,
    pids: () => descendantsOf(child?.pid ?? 0),
    killPostmaster,
    killStartScript,
  };
}

function buildSlowDisk(folder: string): void {
  const library = join(folder, "run/slow-fsync.so");
  execFileSync("gcc", ["-shared", "-fPIC", "-O2", "-o", library, join(import.meta.dirname, "slow-fsync.c"), "-ldl"]);
}

/** A port on 127.0.0.1 that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Sessions come and go meanwhile: one that has ended has no children. */
function descendantsOf(pid: number): number[] {
  let children: readonly number[];
  try {
    children = childrenOf(pid);
  } catch {
    return [];
  }
  return children.flatMap((each) => [each, ...descendantsOf(each)]);
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
}

// In memory when there is room: a killed process loses nothing of it, and the disk's speed is not what is tested.
function roomyFolder(): string {
  const memory = "/dev/shm";
  if (!existsSync(memory)) return "/tmp";
  const { bavail, bsize } = statfsSync(memory);
  return bavail * bsize > MEMORY_MIN ? memory : "/tmp";
}

function nodeRootfs(): string {
  const cache = process.env.KEYFLEET_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "keyfleet");
  const rootfs = join(cache, "rootfs/node");
  if (existsSync(join(rootfs, "usr/lib/postgresql/18/bin/postgres"))) return rootfs;
  throw new Error(`no PostgreSQL 18 in ${rootfs}: run "make images" first`);
}

// Own mount and process namespaces: nothing is mounted in the machine's, and the end of the first process is the end of all.
// That one stays a shell of root, because changing the user would clear its death signal; setpriv: nor does it outlive the test.
const inside = `
  mount --rbind /dev "$1/dev"
  mount -t proc proc "$1/proc"
  mount -t tmpfs tmpfs "$1/tmp"
  mkdir -p "$1/$2" "$1/tmp/program"
  [ "$5" = 0 ] || mount -t tmpfs -o "size=$5m,mode=700,uid=${USER},gid=${USER}" disk "$2/data"
  mount --rbind "$2" "$1/$2"
  mount --bind -o ro "$3" "$1/tmp/program"
  chroot --userspec=${USER}:${USER} "$1" /usr/bin/env -i PATH=/usr/bin:/bin $6 \
    KEYFLEET_POSTGRES_DATA="$2/$7" KEYFLEET_RUN="$2/run" KEYFLEET_MESH_PORT="$4" KEYFLEET_LISTEN=127.0.0.1 \
    /tmp/program/start.sh &
  wait "$!"`;

function spawnInside(parts: {
  rootfs: string;
  folder: string;
  port: number;
  options: TestPostgresOptions;
}): ChildProcess {
  const { rootfs, folder, port, options } = parts;
  const program = join(import.meta.dirname, "../postgres");
  const namespaces = ["--pdeathsig", "KILL", "--", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--"];
  const slow = options.slowDisk ? `LD_PRELOAD=${folder}/run/slow-fsync.so KEYFLEET_SLOW=${folder}/run/slow` : "";
  const places = [
    rootfs,
    folder,
    program,
    String(port),
    String(options.diskMebibytes ?? 0),
    slow,
    options.linked ? "link" : "data",
  ];
  const command = ["sh", "-euc", inside, "sh", ...places];
  return spawn("setpriv", [...namespaces, ...command], { stdio: ["ignore", "pipe", "pipe"] });
}

async function answering(options: {
  socketDirectory: string;
  port: number;
  child: ChildProcess;
  output: () => string;
}): Promise<void> {
  const deadline = Date.now() + START_DEADLINE_MS;
  while (Date.now() < deadline && options.child.exitCode === null) {
    const client = new pg.Client({
      host: options.socketDirectory,
      port: options.port,
      user: "keyfleet",
      database: "postgres",
    });
    client.on("error", () => undefined);
    try {
      await client.connect();
      await client.end();
      return;
    } catch {
      await delay(30);
    }
  }
  throw new Error(`PostgreSQL did not start: ${options.output()}`);
}
