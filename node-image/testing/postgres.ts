import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync } from "node:fs";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";

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
}

const START_DEADLINE_MS = 20_000;
const OUTPUT_MAX = 20_000;
const MEMORY_MIN = 2 * 1024 ** 3;
// The user of the images; PostgreSQL refuses root.
const USER = 10_001;

/** Starts one; rejects with what to do when the node image's file system is not there. */
export async function startPostgres(): Promise<TestPostgres> {
  const rootfs = nodeRootfs();
  const folder = mkdtempSync(join(roomyFolder(), "kf-pg-"));
  for (const name of ["data", "run"]) mkdirSync(join(folder, name));
  for (const path of [folder, join(folder, "data"), join(folder, "run")]) chownSync(path, USER, USER);
  const port = await freePort();
  const socketDirectory = join(folder, "run/postgres");
  let child: ChildProcess | undefined;
  let output = "";

  const start = async () => {
    child = spawnInside({ rootfs, folder, port });
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
  };
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
  mount --bind "$2" "$1/$2"
  mount --bind -o ro "$3" "$1/tmp/program"
  chroot --userspec=${USER}:${USER} "$1" /usr/bin/env -i PATH=/usr/bin:/bin \
    KEYFLEET_POSTGRES_DATA="$2/data" KEYFLEET_RUN="$2/run" KEYFLEET_MESH_PORT="$4" KEYFLEET_LISTEN=127.0.0.1 \
    /tmp/program/start.sh &
  wait "$!"`;

function spawnInside(options: { rootfs: string; folder: string; port: number }): ChildProcess {
  const program = join(import.meta.dirname, "../postgres");
  const namespaces = ["--pdeathsig", "KILL", "--", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--"];
  const command = ["sh", "-euc", inside, "sh", options.rootfs, options.folder, program, String(options.port)];
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
