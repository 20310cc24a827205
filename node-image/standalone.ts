import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { KmsNode } from "@keyfleet/crds/kms-node.ts";
import { restartDigest } from "@keyfleet/crds/restart-settings.ts";
import { fileSource } from "./config/file-source.ts";
import { strictFlags } from "./config/hardening.ts";
import { jsonLog } from "./config/json-log.ts";
import { type LocalNode, type ProgramName, programNames, readLocalFile } from "./config/local-node.ts";
import { type Program, Supervised } from "./supervisor.ts";

const help = `A whole keyfleet node outside Kubernetes: key server, HSM sidecar, PostgreSQL, chrony.

  node standalone.ts FILE [LOCAL-FILE]

FILE holds a KmsNode document, LOCAL-FILE (or FILE too) a LocalNode document (paths, address, programs): apart, so that
FILE can be replaced as a whole by what the operator shows. examples/node.yaml explains every field. The node's status is written to FILE's name + .status.yaml.
SIGTERM ends all of them, the key server first.
`;

await main();

async function main(): Promise<void> {
  const { file, localFile } = filesOrExit();
  const write = (line: string) => void process.stdout.write(`${line}\n`);
  const { local, node: first } = readOrExit(file, localFile);
  makeFolders(local);
  const startedWith = othersStartedWith(local, first);
  const wanted = (node: KmsNode) => programsOf({ file, local, node, startedWith });
  const running = new Map([...wanted(first)].map(([name, program]) => [name, new Supervised(program, write)]));
  const log = jsonLog(() => "warn", write);
  const follow = () => {
    try {
      const { node } = readLocalFile(file, localFile);
      for (const [name, program] of wanted(node)) running.get(name)?.update(program);
    } catch (error) {
      // LOCAL-FILE was edited meanwhile and is none any more: all goes on as it was.
      log("error", "cannot use the new document", { problem: `${localFile}: ${(error as Error).message}` });
    }
  };
  fileSource(file, log).onChange(follow);
  // It may have changed since it was read here.
  follow();
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.once(signal, () => void end(running).then(() => process.exit(0)));
}

function filesOrExit(): { readonly file: string; readonly localFile: string } {
  try {
    const { values, positionals } = parseArgs({ options: { help: { type: "boolean" } }, allowPositionals: true });
    const [file, localFile = file, more] = positionals;
    if (!values.help && more === undefined && file !== undefined && localFile !== undefined) return { file, localFile };
    return process.exit(process.stdout.write(help) && values.help ? 0 : 2);
  } catch (error) {
    return refuse((error as Error).message);
  }
}

function readOrExit(file: string, localFile: string): ReturnType<typeof readLocalFile> {
  try {
    return readLocalFile(file, localFile);
  } catch (error) {
    return refuse(`${[...new Set([file, localFile])].join(", ")}: ${(error as Error).message}`);
  }
}

function refuse(message: string): never {
  process.stderr.write(`${message}; see --help\n`);
  return process.exit(2);
}

/** The key server drains while the others still work; PostgreSQL is last, because the others use it. */
async function end(running: ReadonlyMap<ProgramName, Supervised>): Promise<void> {
  for (const name of ["keyServer", "hsm", "time", "postgres"] as const) await running.get(name)?.end();
}

function makeFolders(local: LocalNode): void {
  for (const name of ["node", "postgres", "hsm"])
    mkdirSync(join(local.dataFolder, name), { recursive: true, mode: 0o700 });
  for (const name of ["postgres/conf", "chrony", "hsm"])
    mkdirSync(join(local.runFolder, name), { recursive: true, mode: 0o700 });
}

/** What is started here follows the document by itself. A sidecar that somebody else runs has what he started it with. */
function othersStartedWith({ programs }: LocalNode, { spec }: KmsNode): string {
  const { run, command } = programs.hsm;
  return run && command === undefined ? "" : restartDigest(spec.settings, ["hsm"]);
}

interface Parts {
  readonly file: string;
  readonly local: LocalNode;
  readonly node: KmsNode;
  readonly startedWith: string;
}

function programsOf({ file, local, node, startedWith }: Parts): Map<ProgramName, Program> {
  const defaults: Record<ProgramName, Omit<Program, "name">> = {
    postgres: postgresProgram(local, node),
    time: {
      command: [join(import.meta.dirname, "time/start.sh")],
      environment: { KEYFLEET_RUN: local.runFolder },
      endSignal: "SIGTERM",
    },
    hsm: hsmProgram(local, node),
    keyServer: { ...keyServerProgram(file, local, node), environment: { KEYFLEET_STARTED_WITH: startedWith } },
  };
  const wanted = programNames.filter((name) => local.programs[name].run);
  return new Map(wanted.map((name) => [name, withOverrides(name, defaults[name], local)]));
}

function withOverrides(name: ProgramName, program: Omit<Program, "name">, local: LocalNode): Program {
  const { command, environment } = local.programs[name];
  return {
    ...program,
    name,
    command: command ?? program.command,
    environment: { ...program.environment, ...environment },
  };
}

function postgresProgram(local: LocalNode, node: KmsNode): Omit<Program, "name"> {
  const environment = {
    KEYFLEET_POSTGRES_DATA: join(local.dataFolder, "postgres"),
    KEYFLEET_RUN: local.runFolder,
    KEYFLEET_MESH_PORT: String(meshPort(node)),
    KEYFLEET_LISTEN: local.listen === "::" ? "*" : local.listen,
  };
  return { command: [join(import.meta.dirname, "postgres/start.sh")], environment, endSignal: "SIGINT" };
}

function hsmProgram(local: LocalNode, node: KmsNode): Omit<Program, "name"> {
  const { library, token, keyLabel, environment, softToken } = node.spec.settings.hsm ?? {};
  const options: readonly (readonly [string, string | undefined])[] = [
    ["--library", library ?? "/usr/lib/softhsm/libsofthsm2.so"],
    ["--token-label", token?.label],
    ["--token-serial", token?.serial],
    ["--key-label", keyLabel ?? "keyfleet"],
    ["--pin-file", local.pinFile],
    ["--state", join(local.dataFolder, "hsm")],
    ["--socket", join(local.runFolder, "hsm/hsm.sock")],
  ];
  const flags = options.flatMap(([flag, value]) => (value === undefined ? [] : [flag, value]));
  const initialise = softToken?.initialise ? ["--soft-token-initialise"] : [];
  return {
    command: [process.execPath, join(import.meta.dirname, "hsm-sidecar.ts"), ...flags, ...initialise],
    environment: {
      ...Object.fromEntries((environment ?? []).map(({ name, value }) => [name, value])),
      KEYFLEET_KEY_OWNER: `${node.spec.cluster}/${node.metadata.name}`,
    },
    endSignal: "SIGTERM",
  };
}

function keyServerProgram(file: string, local: LocalNode, node: KmsNode): Pick<Program, "command" | "endSignal"> {
  const options = [
    ["--source", `file:${file}`],
    ["--data", join(local.dataFolder, "node")],
    ["--run", local.runFolder],
    ["--listen", local.listen],
    ...(local.logFolder === undefined ? [] : [["--log-folder", local.logFolder]]),
    ["--health-port", String(local.healthPort)],
    ["--status-port", String(local.statusPort)],
    ["--postgres-port", String(meshPort(node))],
    ...(node.spec.settings.interfaces?.kmip?.certificateSecretRef === undefined
      ? []
      : [["--kmip-certificate", local.kmipCertificate]]),
    ...(node.spec.settings.interfaces?.rest?.certificateSecretRef === undefined
      ? []
      : [["--rest-certificate", local.restCertificate]]),
  ];
  const command = [process.execPath, ...strictFlags, join(import.meta.dirname, "key-server.ts"), ...options.flat()];
  return { command, endSignal: "SIGTERM" };
}

function meshPort(node: KmsNode): number {
  return node.spec.settings.interfaces?.mesh?.port ?? 5432;
}
