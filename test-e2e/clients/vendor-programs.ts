import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { installedClients } from "./places.ts";
import type { SuiteServer } from "./pykmip-suite.ts";

/** What such a program prints: one JSON object; `error` when it failed. */
export type VendorAnswer = Readonly<Record<string, unknown>> & { readonly error?: string };

const programs = {
  openbao: ["openbao"],
  mongocrypt: ["mongocrypt/bin/python", "mongocrypt/client.py"],
} as const;
const timeoutMs = 60_000;

/** Runs a product's own client code against the server, with more options beside where it is and as whom to speak. */
export async function runVendor(
  name: keyof typeof programs,
  server: SuiteServer,
  options: readonly string[],
): Promise<VendorAnswer> {
  const folder = mkdtempSync(join(tmpdir(), `keyfleet-${name}-`));
  const files = { cert: server.identity.certificate, key: server.identity.key, ca: server.authority };
  try {
    for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text, { mode: 0o600 });
    const paths = Object.keys(files).flatMap((file) => [`-${file}`, join(folder, file)]);
    const [program, script] = programs[name];
    const scripts = script === undefined ? [] : [join(import.meta.dirname, script)];
    const where = ["-endpoint", `${server.host}:${server.port}`, ...paths];
    const command = [...scripts, ...where, ...options];
    const ran = promisify(execFile)(join(installedClients(), program), command, { timeout: timeoutMs });
    const { stdout } = await ran.catch((error: { stdout?: string }) => ({ stdout: error.stdout ?? "" }));
    return stdout === "" ? { error: "it printed nothing" } : (JSON.parse(stdout) as VendorAnswer);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
