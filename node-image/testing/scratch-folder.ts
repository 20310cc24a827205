import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";

/** What tells process numbers of this namespace from those of others that share the folder. */
const processNames = readlinkSync("/proc/self/ns/pid").replace(/\D/g, "");

/**
 * Makes a folder for this process below `parent`, and removes those that processes left behind which were killed: databases
 * of tests lie in memory, which nobody else would give back.
 */
export function scratchFolder(parent: string, prefix: string): string {
  const mine = `${prefix}${processNames}-`;
  for (const name of readdirSync(parent)) {
    const pid = name.startsWith(mine) ? /^\d+/.exec(name.slice(mine.length))?.[0] : undefined;
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(parent, name), { recursive: true, force: true });
  }
  return mkdtempSync(join(parent, `${mine}${process.pid}-`));
}
