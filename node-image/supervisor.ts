import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

const pauseMs = { first: 500, most: 10_000, forgivenAfter: 30_000 } as const;
const endGraceMs = 15_000;

export interface Program {
  readonly name: string;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** How it is asked to end; PostgreSQL takes SIGTERM as "when the last client has gone". */
  readonly endSignal: NodeJS.Signals;
}

/** One program that is started again whenever it ends, with growing pauses, until it is told to end. */
export class Supervised {
  #program: Program;
  readonly #write: (line: string) => void;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pauseMs: number = pauseMs.first;
  #ending = false;

  constructor(program: Program, write: (line: string) => void) {
    this.#program = program;
    this.#write = write;
    this.#start();
  }

  /** Restarts it when command or environment differ from what runs. */
  update(program: Program): void {
    const same = JSON.stringify(program) === JSON.stringify(this.#program);
    this.#program = program;
    if (!same) void this.#endChild();
  }

  /** Asks it to end, kills it after 15 s; resolves when it is gone. */
  async end(): Promise<void> {
    this.#ending = true;
    clearTimeout(this.#timer);
    await this.#endChild();
  }

  /** A program that hangs may hang at its end too; it must not keep settings that would mend it from being used. */
  async #endChild(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill(this.#program.endSignal);
    const timer = setTimeout(() => child.kill("SIGKILL"), endGraceMs);
    await gone;
    clearTimeout(timer);
  }

  /** A machine that is out of processes, files or memory for a moment is no reason to give up, nor to end the others. */
  #start(): void {
    const startedMs = performance.now();
    let over = false;
    const ended = (how: number | string | null) => {
      if (over) return;
      over = true;
      this.#ended(how, performance.now() - startedMs);
    };
    try {
      const child = this.#spawn();
      child.once("error", (error) => child.pid === undefined && ended(error.message));
      child.once("exit", (code, signal) => ended(code ?? signal));
      if (child.pid === undefined) return;
      this.#child = child;
      this.#say(`started, pid ${child.pid}`);
    } catch (error) {
      ended((error as Error).message);
    }
  }

  #spawn(): ChildProcess {
    const { name, command, environment } = this.#program;
    // No core file may ever hold a key; the limit goes over to whatever the shell becomes.
    const parameters = ["-c", 'ulimit -c 0; exec "$0" "$@"', ...command];
    const child = spawn("/bin/sh", parameters, {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    // A process that could not be started may have no pipes.
    for (const stream of [child.stdout, child.stderr] as (Readable | undefined)[]) {
      if (stream !== undefined)
        createInterface({ input: stream }).on("line", (line) => this.#write(`[${name}] ${line}`));
    }
    return child;
  }

  #ended(how: number | string | null, livedMs: number): void {
    this.#child = undefined;
    if (this.#ending) {
      this.#say(`ended (${how})`);
      return;
    }
    if (livedMs > pauseMs.forgivenAfter) this.#pauseMs = pauseMs.first;
    this.#say(`ended (${how}); starts again in ${this.#pauseMs} ms`);
    this.#timer = setTimeout(() => this.#start(), this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, pauseMs.most);
  }

  #say(text: string): void {
    this.#write(`[${this.#program.name}] ${text}`);
  }
}
