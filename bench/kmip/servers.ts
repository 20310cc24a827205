import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import type { Authority } from "../../node-image/testing/authority.ts";
import type { Identity } from "../../node-image/testing/certificates.ts";
import { Fleet } from "../../node-image/testing/fleet.ts";
import type { FleetNode } from "../../node-image/testing/fleet-node.ts";
import { type ClientParts, connectKmip } from "../../node-image/testing/kmip-client.ts";
import { freePort } from "../../node-image/testing/postgres.ts";
import type { Echo } from "./echo.ts";
import type { Processes } from "./generator.ts";

/** A server under load. */
export interface Target {
  readonly name: "keyfleet" | "echo" | "PyKMIP";
  readonly access: ClientParts & { readonly host: string; readonly identity: Identity };
  readonly maxVersion?: "TLSv1.2";
  readonly processes: Processes;
  stop(): Promise<void>;
}

/** One real node: key server, sidecar with SoftHSM, PostgreSQL on disk, chrony. */
export interface NodeTarget extends Target {
  readonly fleet: Fleet;
  readonly node: FleetNode;
  /** The identity that owns an object, as its store has it. */
  ownerOf(id: string): Promise<string>;
}

const readyMs = 20_000;

/**
 * Founds a fleet of one node; a profiled one writes what its key server spent its time on when it stops. `local` is added to
 * its LocalNode document, and read anew with each change of it.
 */
export async function startNode(options: {
  readonly profiled: boolean;
  readonly local?: Readonly<Record<string, unknown>>;
}): Promise<NodeTarget> {
  const { profiled } = options;
  const fleet = await Fleet.start();
  const environment = { NODE_OPTIONS: "--cpu-prof --cpu-prof-dir=/var/lib/keyfleet" };
  try {
    const local = profiled ? { programs: { keyServer: { environment } } } : (options.local ?? {});
    const node = await fleet.add("dc1-a", local);
    await fleet.found("dc1-a");
    const processes = () => ({
      server: node.pids("keyServer"),
      postgres: descendantsOf(node.pids("postgres")),
      rest: [...node.pids("hsm"), ...node.pids("time")],
    });
    const stop = async () => {
      if (profiled) await keepProfile(node);
      await fleet.stop();
    };
    const ownerOf = (id: string) => ownerIn(node.folder, id);
    return { name: "keyfleet", fleet, node, ownerOf, access: await fleet.access("dc1-a"), processes, stop };
  } catch (error) {
    await fleet.stop();
    throw error;
  }
}

async function ownerIn(folder: string, id: string): Promise<string> {
  const place = { host: join(folder, "run/postgres"), port: 5432, database: "keyfleet", user: "keyfleet" };
  const client = new pg.Client(place);
  await client.connect();
  try {
    const { rows } = await client.query("select owner from keyfleet.objects where id = $1", [id]);
    return rows[0].owner as string;
  } finally {
    await client.end();
  }
}

/** The TLS echo that answers with these bytes. */
export async function startEcho(answer: Buffer, clients: Authority): Promise<Target> {
  const own = await clients.issue([{ CN: ["echo"] }], undefined, ["127.0.0.1"]);
  const identity = await identityFrom(clients);
  const folder = mkdtempSync(join(tmpdir(), "keyfleet-echo-"));
  const file = join(folder, "echo.json");
  const echo: Echo = {
    certificate: own.certificatePem,
    key: own.keyPem,
    clientAuthorities: clients.certificatePem,
    answer: answer.toString("hex"),
  };
  writeFileSync(file, JSON.stringify(echo), { mode: 0o600 });
  const child = spawn(process.execPath, [join(import.meta.dirname, "echo.ts"), file], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const { port } = JSON.parse(line.toString()) as { port: number };
  const access = { host: "127.0.0.1", port, authority: clients.certificatePem, identity };
  return target("echo", { access, child, folder });
}

/** PyKMIP's own server with its SQLite database; what it is installed by is test-e2e/clients/install.sh. */
export async function startPykmip(clients: Authority): Promise<Target> {
  const server = await clients.issue([{ CN: ["pykmip"] }], undefined, ["127.0.0.1"]);
  const identity = await identityFrom(clients);
  const folder = mkdtempSync(join(tmpdir(), "keyfleet-pykmip-"));
  const path = (name: string) => join(folder, name);
  writeFileSync(path("server.crt"), server.certificatePem);
  writeFileSync(path("server.key"), server.keyPem, { mode: 0o600 });
  writeFileSync(path("ca.crt"), clients.certificatePem);
  const port = await freePort();
  writeFileSync(
    path("server.conf"),
    `[server]\nhostname=127.0.0.1\nport=${port}\ncertificate_path=${path("server.crt")}\nkey_path=${path("server.key")}
ca_path=${path("ca.crt")}\nauth_suite=TLS1.2\nenable_tls_client_auth=True\nlogging_level=CRITICAL\ndatabase_path=${path("db")}\n`,
  );
  const child = spawn(pykmipServer(), ["-f", path("server.conf"), "-l", path("log")], {
    cwd: folder,
    env: { ...process.env, HOME: folder, PYTHONWARNINGS: "ignore" },
    stdio: "ignore",
  });
  const access = { host: "127.0.0.1", port, authority: clients.certificatePem, identity };
  const started = target("PyKMIP", { access, child, folder, maxVersion: "TLSv1.2" });
  await answering(started);
  return started;
}

async function identityFrom(clients: Authority): Promise<Identity> {
  const issued = await clients.issue([{ CN: ["app"] }]);
  return { certificate: issued.certificatePem, key: issued.keyPem };
}

function pykmipServer(): string {
  const { KEYFLEET_CACHE, XDG_CACHE_HOME } = process.env;
  const cache = KEYFLEET_CACHE ?? join(XDG_CACHE_HOME ?? join(homedir(), ".cache"), "keyfleet");
  const program = join(cache, "clients/pykmip/bin/pykmip-server");
  if (!existsSync(program)) throw new Error(`${program} is missing: run test-e2e/clients/install.sh first`);
  return program;
}

async function answering({ access }: Target): Promise<void> {
  const end = performance.now() + readyMs;
  for (;;) {
    try {
      (await connectKmip(access)).close();
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await pause(100);
    }
  }
}

interface Started extends Pick<Target, "access" | "maxVersion"> {
  readonly child: ChildProcess;
  readonly folder: string;
}

const living = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});

function target(name: Target["name"], { access, child, folder, maxVersion }: Started): Target {
  living.add(child);
  child.once("exit", () => living.delete(child));
  return {
    name,
    access,
    ...(maxVersion === undefined ? {} : { maxVersion }),
    processes: () => ({ server: familyOf(child.pid ?? 0) }),
    stop: async () => {
      const running = child.exitCode === null && child.signalCode === null;
      // PyKMIP's manager is a child of its own: it ends when its parent ends in order.
      if (running) {
        child.kill("SIGTERM");
        const cut = setTimeout(() => child.kill("SIGKILL"), 15_000);
        await once(child, "exit");
        clearTimeout(cut);
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function descendantsOf(pids: readonly number[]): number[] {
  return [...new Set(pids.flatMap(familyOf))];
}

function familyOf(pid: number): number[] {
  try {
    return [pid, ...readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number)];
  } catch {
    return [];
  }
}

/** Ends the node in order, so that its key server writes the profile, and copies that out of the node's folder. */
async function keepProfile(node: FleetNode): Promise<void> {
  await node.stop();
  const folder = join(node.folder, "data");
  for (const name of readdirSync(folder).filter((each) => each.endsWith(".cpuprofile"))) {
    copyFileSync(join(folder, name), join(tmpdir(), name));
    console.log(`profile: ${join(tmpdir(), name)}`);
  }
}
