import { spawn } from "node:child_process";

/** What a finished command left. */
export interface Output {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit code; 128 + signal when it was ended by one. */
  readonly code: number;
}

/** How a command is run. */
export interface CommandOptions {
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Ends the command; without it, it may take any time. */
  readonly timeoutMs?: number;
  /** Answer with the exit code instead of throwing when it is not 0. */
  readonly mayFail?: boolean;
  /** Pass output on to this process' own instead of collecting it. */
  readonly inherit?: boolean;
}

const maxOutputBytes = 64 * 1024 * 1024;

/** Runs a command to its end; throws with what it wrote to stderr when it fails. */
export async function run(command: readonly string[], options: CommandOptions = {}): Promise<Output> {
  const output = await finished(command, options);
  if (output.code !== 0 && !options.mayFail) {
    const said = (output.stderr.trim() || output.stdout.trim()).slice(-2000);
    throw new Error(`${command.slice(0, 12).join(" ")}: exit code ${output.code}${said ? `: ${said}` : ""}`);
  }
  return output;
}

function finished(command: readonly string[], options: CommandOptions): Promise<Output> {
  const piped = options.inherit ? "inherit" : "pipe";
  const child = spawn(command[0] ?? "", command.slice(1), {
    stdio: [options.input === undefined ? (options.inherit ? "inherit" : "ignore") : "pipe", piped, piped],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs, killSignal: "SIGKILL" as const }),
  });
  const chunks: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
  let size = 0;
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxOutputBytes) child.kill("SIGKILL");
      else chunks[name].push(chunk);
    });
  }
  // A command that ends without reading all of its input says so by its exit code.
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.input);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      const text = (name: "stdout" | "stderr") => Buffer.concat(chunks[name]).toString();
      const stderr =
        signal === "SIGKILL" && options.timeoutMs
          ? `${text("stderr")}\nended after ${options.timeoutMs} ms`
          : text("stderr");
      resolve({ stdout: text("stdout"), stderr, code: code ?? 128 + (signal === "SIGKILL" ? 9 : 15) });
    });
  });
}
