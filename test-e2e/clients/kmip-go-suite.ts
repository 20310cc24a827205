import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { installedClients } from "./places.ts";
import type { SuiteServer } from "./pykmip-suite.ts";

/** One check of the suite: a sentence, and why it is not true; `absent` names an operation that it needs and the server does not list. */
export interface Check {
  readonly check: string;
  readonly error?: string;
  readonly absent?: string;
}

const suiteTimeoutMs = 120_000;

/** Runs the checks on ovh/kmip-go at KMIP 1.`minor`. */
export async function runKmipGoSuite(server: SuiteServer, minor: number): Promise<readonly Check[]> {
  const program = join(installedClients(), "kmip-go-suite");
  const folder = mkdtempSync(join(tmpdir(), "keyfleet-kmip-go-"));
  const files = { cert: server.identity.certificate, key: server.identity.key, ca: server.authority };
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 });
    const paths = Object.keys(files).flatMap((name) => [`-${name}`, join(folder, name)]);
    const where = ["-endpoint", `${server.host}:${server.port}`, "-minor", String(minor)];
    const { stdout } = await promisify(execFile)(program, [...where, ...paths], { timeout: suiteTimeoutMs });
    return stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Check);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
