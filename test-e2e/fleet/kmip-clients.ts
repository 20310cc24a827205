import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { run } from "../sites/command.ts";
import { cache, type Place, root } from "./places.ts";

/** One line that a client printed. */
export interface Answer {
  readonly id?: string;
  readonly digest?: string;
  readonly error?: string;
  /** Why one endpoint failed, when the request is tried at the next one. */
  readonly retried?: string;
  readonly endpoint?: string;
  readonly ms?: number;
  readonly done?: string;
  /** Bytes of a key; only the command `material` of PyKMIP says them. */
  readonly hex?: string;
  readonly attributes?: readonly string[];
  /** When the line came, monotonic; only of writers. */
  readonly atMs?: number;
}

/** Clients that nobody here wrote. */
export type ClientName = "PyKMIP" | "kmip-go";

/** Who calls and whom. */
export interface Call {
  readonly client: ClientName;
  readonly endpoints: readonly string[];
  /** Base name of the certificate in place.certificates; default app1. */
  readonly as?: string;
  /** File with the CA of the servers. */
  readonly ca: string;
}

/** Installs the clients when they are missing. */
export async function installClients(): Promise<void> {
  await run([join(root, "test-e2e/clients/install.sh")], { inherit: true });
}

/** The command line of a client inside the clients' network. */
export function commandOf(place: Place, call: Call, words: readonly string[]): string[] {
  const as = join(place.certificates, call.as ?? "app1");
  const program = {
    PyKMIP: [join(cache, "clients/pykmip/bin/python"), join(root, "test-e2e/clients/pykmip/client.py")],
    "kmip-go": [join(cache, "clients/kmip-go")],
  }[call.client];
  const who = ["--cert", `${as}.crt`, "--key", `${as}.key`, "--ca", call.ca];
  return place.sites.clientCommand([
    ...program,
    ...call.endpoints.flatMap((endpoint) => ["--endpoint", endpoint]),
    ...who,
    ...words,
  ]);
}

/** Runs one command of a client to its end; what it says, errors included. */
export async function ask(place: Place, call: Call, words: readonly string[], input = ""): Promise<Answer[]> {
  const { stdout, stderr, code } = await run(commandOf(place, call, words), {
    input,
    mayFail: true,
    timeoutMs: 120_000,
  });
  const answers = parse(stdout);
  return answers.length === 0 && code !== 0
    ? [{ error: stderr.trim().split("\n").at(-1) ?? `exit code ${code}` }]
    : answers;
}

function parse(text: string): Answer[] {
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** A writer in the background: creates keys until it is told to stop. */
export interface Writer {
  readonly acknowledged: Answer[];
  readonly failures: Answer[];
  /** Tries that failed and were followed by one at the next endpoint. */
  readonly retries: Answer[];
  stop(): Promise<void>;
}

/** What a writer does at most; `tries`: at how many endpoints kmip-go tries a request before it has failed (1). */
export interface WriterBounds {
  readonly name: string;
  readonly count: number;
  readonly seconds: number;
  readonly tries?: number;
  /** From one request to the next at least; 0 when not given. */
  readonly everyMs?: number;
}

/** Starts creating keys at the given endpoints, at most `count` and for `seconds`. */
export function startWriter(place: Place, call: Call, bounds: WriterBounds): Writer {
  const words = [
    "--name",
    bounds.name,
    "--count",
    String(bounds.count),
    "--seconds",
    String(bounds.seconds),
    "--timeout",
    "3",
    "--every",
    String((bounds.everyMs ?? 0) / 1000),
    ...(bounds.tries === undefined ? [] : ["--tries", String(bounds.tries)]),
  ];
  const [program = "", ...args] = commandOf(place, call, [...words, "loop"]);
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const acknowledged: Answer[] = [];
  const failures: Answer[] = [];
  const retries: Answer[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    const answer: Answer = { ...JSON.parse(line), atMs: performance.now() };
    if (answer.retried !== undefined) retries.push(answer);
    else (answer.error === undefined ? acknowledged : failures).push(answer);
  });
  let stopping = false;
  // One that broke down asks for nothing any more, and so nothing would fail.
  child.once("exit", (code, signal) => {
    if (code !== 0 && !stopping) failures.push({ error: `the client has ended by itself: ${code ?? signal}` });
  });
  const stop = () => {
    stopping = true;
    return ended(child);
  };
  return { acknowledged, failures, retries, stop };
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once("close", () => resolve());
    child.kill("SIGTERM");
  });
}
