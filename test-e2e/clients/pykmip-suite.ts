import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installedClients } from "./places.ts";

/** Where the server is and as whom to speak to it; all PEM. */
export interface SuiteServer {
  readonly host: string;
  readonly port: number;
  readonly authority: string;
  readonly identity: { readonly certificate: string; readonly key: string };
}

/** Name of a test of the suite ("test_kmip_client::test_get") → why it failed; undefined when it passed. */
export type SuiteResults = ReadonlyMap<string, string | undefined>;

const suiteTimeoutMs = 300_000;

/** Runs PyKMIP's own integration tests (those of its source distribution, unchanged) against a server. */
export async function runPykmipSuite(server: SuiteServer): Promise<SuiteResults> {
  const clients = installedClients();
  const home = mkdtempSync(join(tmpdir(), "keyfleet-pykmip-suite-"));
  const file = (name: string) => join(home, name);
  try {
    mkdirSync(file(".pykmip"));
    writeFileSync(file("client.crt"), server.identity.certificate);
    writeFileSync(file("client.key"), server.identity.key, { mode: 0o600 });
    writeFileSync(file("ca.crt"), server.authority);
    writeFileSync(file(".pykmip/pykmip.conf"), configuration(server, file));
    const tests = join(clients, "pykmip-tests/kmip/tests/integration");
    const report = file("report.xml");
    const command = [
      "-m",
      "pytest",
      "-q",
      "-p",
      "no:cacheprovider",
      "-o",
      "junit_family=xunit1",
      `--junitxml=${report}`,
      tests,
    ];
    const output = await run(join(clients, "pykmip/bin/python"), command, home);
    return results(readFileSync(report, "utf8"), output);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

function configuration({ host, port }: SuiteServer, file: (name: string) => string): string {
  return `[client]
host=${host}
port=${port}
keyfile=${file("client.key")}
certfile=${file("client.crt")}
ca_certs=${file("ca.crt")}
cert_reqs=CERT_REQUIRED
ssl_version=PROTOCOL_TLS
do_handshake_on_connect=True
suppress_ragged_eofs=True
username=app
password=none
`;
}

/** Failed tests are no failure of the run: they are in the report. */
function run(program: string, parameters: readonly string[], home: string): Promise<string> {
  const env = { PATH: "/usr/bin:/bin", HOME: home, PYTHONDONTWRITEBYTECODE: "1", PYTHONWARNINGS: "ignore" };
  return new Promise((resolve) => {
    const options = { cwd: home, env, timeout: suiteTimeoutMs, maxBuffer: 64 * 2 ** 20 };
    execFile(program, [...parameters], options, (_, stdout, stderr) => resolve(stdout + stderr));
  });
}

function results(report: string, output: string): SuiteResults {
  const cases = [...report.matchAll(/<testcase\s([^>]*?)(\/>|>(.*?)<\/testcase>)/gs)];
  if (cases.length === 0) throw new Error(`pytest ran no test: ${output.slice(-2000)}`);
  return new Map(
    cases.map(([, attributes = "", , body = ""]) => {
      const value = (name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "";
      // The end of a Python traceback says where and what happened.
      const failure = /<(?:failure|error)\s[^>]*>(.*?)<\/(?:failure|error)>/s.exec(body)?.[1];
      const module = value("file").replace(/^.*\/|\.py$/g, "") || value("classname").split(".").at(-2) || "";
      return [`${module}::${value("name")}`, failure?.trim().split("\n").slice(-60).join("\n")];
    }),
  );
}
