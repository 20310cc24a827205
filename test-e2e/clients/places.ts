import { execFileSync } from "node:child_process";
import { homedir } from "node:os";
import { join } from "node:path";

/** Installs the KMIP clients that other people wrote, once per version; their folder. */
export function installedClients(): string {
  execFileSync(join(import.meta.dirname, "install.sh"), { stdio: ["ignore", "ignore", "inherit"] });
  const { KEYFLEET_CACHE, XDG_CACHE_HOME } = process.env;
  return join(KEYFLEET_CACHE ?? join(XDG_CACHE_HOME ?? join(homedir(), ".cache"), "keyfleet"), "clients");
}
