import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { connectHsm, type HsmClient } from "../hsm/client.ts";
import type { HsmStatus } from "../hsm/types.ts";

const library = "/usr/lib/softhsm/libsofthsm2.so";
const sidecar = fileURLToPath(new URL("../hsm-sidecar.ts", import.meta.url));

/** Stripped sources, so that only the first sidecar of a test process pays for them; gone with the process. */
const compileCache = mkdtempSync(join(tmpdir(), "keyfleet-compiled-"));
process.once("exit", () => rmSync(compileCache, { recursive: true, force: true }));

/** What differs from a sidecar that makes its own token 'dc1' and opens it with the right PIN. */
export interface SoftHsmOptions {
  readonly tokenLabel?: string;
  readonly pin?: string;
  /** False: the token must be there already. */
  readonly initialise?: boolean;
  /** False: no process yet; call start. */
  readonly started?: boolean;
  readonly library?: string;
  /** Cluster and name of the node; "bank/dc1-a" by itself. */
  readonly node?: string;
  /** Uses the token of another sidecar, as nodes do that share a partition of a network HSM. */
  readonly tokenOf?: SoftHsm;
  /** True: SoftHSM behind a library that fails when told to, see fail. */
  readonly faulty?: boolean;
}

/** The real sidecar with a real SoftHSM token in a folder of its own. */
export interface SoftHsm {
  readonly hsm: HsmClient;
  readonly socketPath: string;
  readonly folder: string;
  readonly pinFile: string;
  /** Everything the sidecar has written to stdout and stderr so far, over all its lives. */
  output(): string;
  /** The sidecar's memory file, parsed. */
  custody(): { loginAttempts: number; wrappingKey?: { checkValue: string } };
  setPin(pin: string): void;
  /** Makes a token the way an administrator does, by softhsm2-util. */
  addToken(label: string, pin: string): void;
  /** With another label of the wrapping key than before, if one is given. */
  start(keyLabel?: string): void;
  /** Runs the sidecar once to destroy the node's keys; answers with its exit code. */
  erase(): Promise<number | null>;
  /** Ends the process by its id and waits until it is gone; rejects when it is not within 20 s, and kills it. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** A faulty token answers the next sealings (or makings of a key, or of a pair) with this CKR, so many times. */
  fail(returnValue: number, times: number, call?: "seal" | "key" | "pair"): void;
  /** Resolves when the token has begun to answer as it was told to. */
  faultTaken(): Promise<void>;
  /** Resolves with the first status of this reason; rejects after 20 s. */
  reached(reason: HsmStatus["reason"]): Promise<HsmStatus>;
  /** Ends the process and removes the folder. */
  close(): Promise<void>;
}

/** Starts a sidecar with SoftHSM; the caller closes it. Throws when SoftHSM is not installed. */
export function startSoftHsm(options: SoftHsmOptions = {}): SoftHsm {
  if (!existsSync(library)) throw new Error(`${library} is missing: apt-get install softhsm2`);
  const fixture = new Fixture(options);
  if (options.started !== false) fixture.start();
  return fixture;
}

class Fixture implements SoftHsm {
  readonly folder = mkdtempSync(join(tmpdir(), "keyfleet-hsm-"));
  readonly socketPath = join(this.folder, "run", "hsm.sock");
  readonly pinFile = join(this.folder, "pin");
  readonly hsm = connectHsm({ socketPath: this.socketPath });
  readonly #state = join(this.folder, "state");
  readonly #options: SoftHsmOptions;
  #process: ChildProcess | undefined;
  #output = "";

  constructor(options: SoftHsmOptions) {
    this.#options = options;
    if (options.pin !== "") this.setPin(options.pin ?? "hsm-test-pin-1234");
  }

  start(keyLabel?: string): void {
    this.#process = this.#spawn(this.#flags(keyLabel));
  }

  erase(): Promise<number | null> {
    const child = this.#spawn([...this.#flags(), "--erase"]);
    return new Promise((resolve) => child.once("close", resolve));
  }

  #spawn(flags: readonly string[]): ChildProcess {
    const environment: NodeJS.ProcessEnv = {
      ...process.env,
      KEYFLEET_FAULT: join(this.folder, "fault"),
      KEYFLEET_KEY_OWNER: this.#options.node ?? "bank/dc1-a",
      NODE_COMPILE_CACHE: compileCache,
    };
    delete environment.SOFTHSM2_CONF;
    const { tokenOf } = this.#options;
    if (tokenOf !== undefined) environment.SOFTHSM2_CONF = join(tokenOf.folder, "state", "softhsm2.conf");
    const child = spawn(process.execPath, [sidecar, ...flags], {
      env: environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const keep = (chunk: Buffer) => {
      this.#output += chunk.toString("utf8");
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    return child;
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    const killed = setTimeout(() => child.kill("SIGKILL"), 20_000);
    await gone;
    clearTimeout(killed);
    if (child.signalCode === "SIGKILL" && signal !== "SIGKILL") throw new Error(`the sidecar did not end by ${signal}`);
  }

  async reached(reason: HsmStatus["reason"]): Promise<HsmStatus> {
    const deadline = Date.now() + 20_000;
    for (;;) {
      const status = await this.hsm.status();
      if (status.reason === reason && !status.message.includes("cannot be reached")) return status;
      if (Date.now() > deadline)
        throw new Error(`the sidecar is "${status.reason}" (${status.message}), not "${reason}"\n${this.#output}`);
      await pause(40);
    }
  }

  async close(): Promise<void> {
    this.hsm.close();
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  output(): string {
    return this.#output;
  }

  custody(): { loginAttempts: number; wrappingKey?: { checkValue: string } } {
    return JSON.parse(readFileSync(join(this.#state, "custody.json"), "utf8"));
  }

  fail(returnValue: number, times: number, call: "seal" | "key" | "pair" = "seal"): void {
    writeFileSync(join(this.folder, call === "seal" ? "fault" : `fault.${call}`), `${returnValue} ${times}`);
  }

  async faultTaken(): Promise<void> {
    while (!readFileSync(join(this.folder, "fault"), "utf8").endsWith(" 0")) await pause(10);
  }

  setPin(pin: string): void {
    writeFileSync(this.pinFile, `${pin}\n`, { mode: 0o600 });
  }

  addToken(label: string, pin: string): void {
    mkdirSync(join(this.#state, "tokens"), { recursive: true });
    const configuration = join(this.folder, "administrator.conf");
    writeFileSync(configuration, `directories.tokendir = ${join(this.#state, "tokens")}\nobjectstore.backend = file\n`);
    const order = ["--init-token", "--free", "--label", label, "--so-pin", "officer-1234", "--pin", pin];
    execFileSync("softhsm2-util", order, { env: { ...process.env, SOFTHSM2_CONF: configuration }, stdio: "pipe" });
  }

  #flags(keyLabel = "keyfleet"): string[] {
    const { tokenLabel = "dc1", initialise = true } = this.#options;
    const chosen = this.#options.faulty === true ? buildFaultyLibrary(this.folder) : (this.#options.library ?? library);
    const flags = ["--library", chosen, "--token-label", tokenLabel, "--key-label", keyLabel];
    const places = ["--pin-file", this.pinFile, "--state", this.#state, "--socket", this.socketPath];
    return [...flags, ...places, "--workers", "2", ...(initialise ? ["--soft-token-initialise"] : [])];
  }
}

/** Its name begins as SoftHSM's, so that the sidecar treats it as such. */
function buildFaultyLibrary(folder: string): string {
  const path = join(folder, "libsofthsm2-faulty.so");
  const source = fileURLToPath(new URL("./faulty-pkcs11.c", import.meta.url));
  const headers = join(dirname(createRequire(import.meta.url).resolve("pkcs11js")), "includes");
  if (!existsSync(path)) execFileSync("cc", ["-shared", "-fPIC", "-I", headers, source, "-o", path], { stdio: "pipe" });
  return path;
}
