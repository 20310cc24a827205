import { parseArgs } from "node:util";
import { harden } from "./config/hardening.ts";
import type { HsmStatus } from "./hsm/types.ts";
import { Custodian } from "./pkcs11/custodian.ts";
import { limits } from "./pkcs11/limits.ts";
import { listenOnSocket } from "./pkcs11/socket-server.ts";
import { ownsSoftHsm, writeSoftHsmConfiguration } from "./pkcs11/soft-token.ts";
import type { CustodySettings } from "./pkcs11/thread-messages.ts";

const help = `The HSM sidecar of a key server: the only process that knows the PIN and the vendor's library.

node hsm-sidecar.ts --library PATH --token-label LABEL --key-label LABEL --pin-file PATH --state FOLDER --socket PATH

  --library PATH           PKCS#11 library, such as /usr/lib/softhsm/libsofthsm2.so
  --token-label LABEL      token to use; label, serial or both
  --token-serial SERIAL
  --key-label LABEL        AES key in the token that wraps this node's master key; made on first use
  --pin-file PATH          file with the token's user PIN; each PIN value is tried once
  --state FOLDER           what must outlive restarts: refused PINs, the key's check value, SoftHSM's tokens
  --socket PATH            unix socket to listen on (0600, in a folder of 0700)
  --soft-token-initialise  SoftHSM only: make the token when this node never had one
  --erase                  destroys this node's keys in the token for good, and ends: for a node that has departed; no socket
  --workers N              most threads, each with a session of its own (default ${limits.workers})
  --help

KEYFLEET_KEY_OWNER in the environment, CLUSTER/NAME, is written into the keys that this node makes: no other takes them for its own.
`;

/** Settings, socket, token: the sidecar stays up whatever the token does and says in its status what is wrong. */
async function main(): Promise<void> {
  const { settings, socketPath, workers, erase } = settingsFrom(process.argv.slice(2));
  process.umask(0o077);
  if (ownsSoftHsm(settings.library, process.env))
    process.env.SOFTHSM2_CONF = writeSoftHsmConfiguration(settings.stateFolder);
  if (erase) return await eraseAndEnd(settings);
  const custodian = new Custodian({ settings, workers, onStatus: logStatus, onHopeless: endForRestart });
  const server = await listenOnSocket(socketPath, custodian);
  log("info", "listening", { socket: socketPath, library: settings.library, workers });
  custodian.start();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      server.close();
      void end(custodian, signal);
    });
  }
}

/** process.exit waits for a thread that hangs in the library for as long as it hangs: then it ends as endForRestart does. */
async function end(custodian: Custodian, signal: NodeJS.Signals): Promise<void> {
  const patience = setTimeout(
    () => endForRestart(`${signal}, but a thread hangs inside the PKCS#11 library`),
    limits.endMs,
  );
  await custodian.end();
  clearTimeout(patience);
  log("info", "ended", { signal });
  process.exit(0);
}

/** Loaded when it is needed only: the main thread of a sidecar that stays never comes near the vendor's library. */
async function eraseAndEnd(settings: CustodySettings): Promise<void> {
  const { eraseKeys } = await import("./pkcs11/erase.ts");
  log("info", "erased", { objects: eraseKeys(settings), key: settings.keyLabel });
}

interface Started {
  readonly settings: CustodySettings;
  readonly socketPath: string;
  readonly workers: number;
  readonly erase: boolean;
}

function settingsFrom(args: string[]): Started {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args,
    options: {
      library: text,
      "token-label": text,
      "token-serial": text,
      "key-label": text,
      "pin-file": text,
      state: text,
      socket: text,
      workers: text,
      "soft-token-initialise": { type: "boolean" },
      erase: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) {
    process.stdout.write(help);
    process.exit(0);
  }
  const label = values["token-label"];
  const serial = values["token-serial"];
  if (label === undefined && serial === undefined)
    throw new Error("--token-label or --token-serial is needed; see --help");
  const settings = {
    library: needed("library", values.library),
    keyLabel: needed("key-label", values["key-label"]),
    pinFile: needed("pin-file", values["pin-file"]),
    stateFolder: needed("state", values.state),
    node: process.env.KEYFLEET_KEY_OWNER ?? "",
    softTokenInitialise: values["soft-token-initialise"] === true,
    ...(label === undefined ? {} : { tokenLabel: label }),
    ...(serial === undefined ? {} : { tokenSerial: serial }),
  };
  const erase = values.erase === true;
  const socketPath = erase ? "" : needed("socket", values.socket);
  return { settings, socketPath, workers: workersFrom(values.workers), erase };
}

function needed(flag: string, value: string | undefined): string {
  if (value === undefined || value === "") throw new Error(`--${flag} is needed; see --help`);
  return value;
}

function workersFrom(value: string | undefined): number {
  const workers = value === undefined ? limits.workers : Number(value);
  if (!Number.isInteger(workers) || workers < 1 || workers > 64)
    throw new Error("--workers must be 1 to 64; see --help");
  return workers;
}

function logStatus({ ready, reason, message, ...token }: HsmStatus): void {
  log(ready ? "info" : "warn", "token", { ready, reason, detail: message, ...token });
}

/**
 * process.exit would wait for the very thread that hangs, and a container's first process cannot even kill itself with
 * SIGKILL: the kernel only lets it abort. Core files are off (harden), so nothing of it lands on a disk.
 */
function endForRestart(message: string): void {
  log("error", "hopeless", { detail: message });
  process.abort();
}

function log(level: "info" | "warn" | "error", message: string, fields: Record<string, unknown>): void {
  process.stdout.write(
    `${JSON.stringify({ time: new Date().toISOString(), level, room: "hsm-sidecar", message, ...fields })}\n`,
  );
}

try {
  harden();
  await main();
} catch (error) {
  log("error", "cannot start", { detail: error instanceof Error ? error.message : "unknown error" });
  process.exit(64);
}
