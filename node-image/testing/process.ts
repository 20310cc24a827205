import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";

const termGraceMs = 5_000;
const maxOutputLines = 2_000;

export interface ChildOptions extends Pick<SpawnOptions, "cwd" | "env"> {
  readonly name: string;
  /** Called with each line of its output. */
  readonly heard?: (line: string) => void;
}

/** A process that a test started; it ends with the test's process at the latest. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  /** Its last lines of output, both streams. */
  readonly lines: readonly string[];
  /** Resolves with its exit code or signal when it has ended. */
  readonly ended: Promise<number | NodeJS.Signals>;
  running(): boolean;
  signal(name: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL after 5 s. */
  end(): Promise<void>;
}

const living = new Set<ChildProcess>();

// Also when a test crashes: what it started must not stay. Only processes of this set are ever signalled.
process.on("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => process.exit(130));

/** Starts a program; rejects nothing: a program that cannot start has `ended` with 127. */
export function startChild(command: readonly [string, ...string[]], options: ChildOptions): Child {
  const [program, ...parameters] = command;
  const process = spawn(program, parameters, { cwd: options.cwd, env: options.env, stdio: ["ignore", "pipe", "pipe"] });
  living.add(process);
  const lines: string[] = [];
  for (const stream of [process.stdout, process.stderr]) keepLines(stream, lines, options.heard);
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    process.once("error", (error) => {
      lines.push(error.message);
      living.delete(process);
      resolve(127);
    });
    process.once("exit", (code, signal) => {
      living.delete(process);
      resolve(code ?? signal ?? 0);
    });
  });
  return {
    name: options.name,
    pid: process.pid ?? 0,
    lines,
    ended,
    running: () => living.has(process),
    signal: (name) => void process.kill(name),
    end: () => endProcess(process, ended),
  };
}

async function endProcess(process: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (!living.has(process)) return;
  process.kill("SIGTERM");
  const timer = setTimeout(() => process.kill("SIGKILL"), termGraceMs);
  await ended;
  clearTimeout(timer);
}

function keepLines(
  stream: NodeJS.ReadableStream,
  lines: string[],
  heard: (line: string) => void = () => undefined,
): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
    for (const part of parts) heard(part);
    if (lines.length > maxOutputLines) lines.splice(0, lines.length - maxOutputLines);
  });
}
