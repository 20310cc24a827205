import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import pkcs11js from "pkcs11js";
import { readCustody } from "./custody.ts";
import { finalize, initialize, type Library, openSession } from "./library.ts";
import { calling } from "./return-values.ts";
import { blankSlot, findToken } from "./token.ts";
import { Trouble } from "./trouble.ts";

/** Whether the library is SoftHSM and its configuration is the sidecar's to write. */
export function ownsSoftHsm(library: string, environment: NodeJS.ProcessEnv): boolean {
  return basename(library).startsWith("libsofthsm2") && environment.SOFTHSM2_CONF === undefined;
}

/** Writes SoftHSM's configuration into the state folder; its path, for SOFTHSM2_CONF, which must be set before the library is loaded. */
export function writeSoftHsmConfiguration(stateFolder: string): string {
  mkdirSync(tokensFolder(stateFolder), { recursive: true, mode: 0o700 });
  return configure(stateFolder, tokensFolder(stateFolder));
}

/** Whether a token is still to be made: none is there and this node never had a wrapping key. Throws Trouble when it had one. */
export function softTokenWanted(stateFolder: string, label: string): boolean {
  if (existsSync(tokensFolder(stateFolder)) && readdirSync(tokensFolder(stateFolder)).length > 0) return false;
  if (readCustody(stateFolder).wrappingKey === undefined) return true;
  const advice = "restore this node's volume, or remove the node and let it join again";
  throw new Trouble(
    "TokenNotFound",
    `token '${label}' of this node is gone from ${tokensFolder(stateFolder)} and is not made anew; ${advice}`,
  );
}

/**
 * Makes the token with this label and PIN. Made aside and put in place by one rename, so that a crash in the middle
 * leaves no half-made token. Nobody will know the security officer's PIN. Leaves the library finalized.
 */
export function makeSoftToken(library: Library, token: { label: string; pin: Buffer }, stateFolder: string): void {
  const aside = `${tokensFolder(stateFolder)}.new`;
  rmSync(aside, { recursive: true, force: true });
  mkdirSync(aside, { recursive: true, mode: 0o700 });
  finalize(library);
  configure(stateFolder, aside);
  try {
    initialize(library);
    calling(() => initializeToken(library, token));
    finalize(library);
    renameSync(aside, tokensFolder(stateFolder));
  } finally {
    finalize(library);
    configure(stateFolder, tokensFolder(stateFolder));
  }
}

function initializeToken(library: Library, { label, pin }: { label: string; pin: Buffer }): void {
  const officerPin = randomBytes(24).toString("base64url");
  library.C_InitToken(blankSlot(library), officerPin, label.padEnd(32, " "));
  const { slot } = findToken(library, { library: "SoftHSM", label });
  const session = openSession(library, slot, "write");
  library.C_Login(session, pkcs11js.CKU_SO, officerPin);
  library.C_InitPIN(session, pin.toString("utf8"));
  library.C_CloseAllSessions(slot);
}

function tokensFolder(stateFolder: string): string {
  return join(stateFolder, "tokens");
}

function configure(stateFolder: string, tokens: string): string {
  const path = join(stateFolder, "softhsm2.conf");
  const text = `# Written by the HSM sidecar.\ndirectories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n`;
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
  return path;
}
