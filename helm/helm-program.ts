import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Path of helm in the cache of tools, for tests; throws with what to do when it is missing. */
export function helmProgram(): string {
  const base = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  const tools = join(process.env.KEYFLEET_CACHE ?? join(base, "keyfleet"), "tools");
  const folders = existsSync(tools) ? readdirSync(tools).filter((name) => name.startsWith("helm-")) : [];
  const found = folders.map((name) => join(tools, name, "helm")).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`helm is not in ${tools}; run test-e2e/sites/build-tools.sh helm`);
  return found;
}
