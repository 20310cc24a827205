import { join } from "node:path";
import { harden } from "./config/hardening.ts";
import { jsonLog } from "./config/json-log.ts";
import { openSource } from "./config/open-source.ts";
import { logRotation, rotatingFile } from "./config/rotating-file.ts";
import { help, readSettings, type Settings } from "./config/settings.ts";
import type { NodeSource } from "./config/source.ts";
import { nodeMetrics } from "./health/metrics.ts";
import { startHealth } from "./health/server.ts";
import { connectHsm } from "./hsm/client.ts";
import type { ActivityLog } from "./kmip/activity.ts";
import { Machine } from "./membership/machine.ts";
import { nextStep } from "./membership/next-step.ts";

/** New connections are still taken this long after SIGTERM in a pod: until every machine's proxy has taken its address out. */
const leaveServiceMs = 3_000;

await main();

/** The parts of a node, in the order in which they need each other; each may become available at any later time. */
async function main(): Promise<void> {
  const settings = settingsOrExit();
  harden();
  process.umask(0o077);
  let source: NodeSource | undefined;
  const logs = () => source?.current()?.spec.settings.logs;
  const log = jsonLog(() => logs()?.level ?? "info", writerOf(settings, "node.log"));
  const activityLog = jsonLog(() => "info", writerOf(settings, "kmip-activity.log"));
  const activity: ActivityLog = (fields) => {
    if (logs()?.kmipActivity === true) activityLog("info", "kmip", { log: "kmip-activity", ...fields() });
  };
  log("info", "starting", { version: settings.version, source: settings.source, node: settings.node });

  source = openSource({ ...settings, cacheFile: join(settings.dataFolder, "kms-node.json"), log });
  const hsm = connectHsm({ socketPath: join(settings.runFolder, "hsm/hsm.sock") });
  const metrics = nodeMetrics(settings.version, () => machine.measured);
  const nowMs = () => performance.now();
  const machine = new Machine({ settings, source, hsm, log, nowMs, metrics: metrics.operations, activity });
  const notReady = () => (machine.facts.ending ? "ending" : machine.facts.serving ? undefined : reasonOf(machine));
  const place = { host: settings.listenAddress, port: settings.healthPort };
  await startHealth({ ...place, notReady, metrics: metrics.registry, log, nowMs });
  machine.start();

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      log("info", "ending", { signal });
      const leaveMs = settings.source === "kubernetes" ? leaveServiceMs : 0;
      void machine.stop(leaveMs).finally(() => process.exit(0));
    });
  }
}

/** Where lines go: to stdout, which a pod's logs are, or to a file of the folder that was named. */
function writerOf({ logFolder, logFileBytes }: Settings, name: string): ((line: string) => void) | undefined {
  if (logFolder === undefined) return undefined;
  return rotatingFile(join(logFolder, name), { ...logRotation, maxBytes: logFileBytes ?? logRotation.maxBytes });
}

function settingsOrExit(): Settings {
  try {
    const settings = readSettings(process.argv.slice(2), process.env);
    if (settings !== "help") return settings;
    process.stdout.write(help);
    return process.exit(0);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return process.exit(2);
  }
}

function reasonOf(machine: Machine): string {
  const step = nextStep(machine.facts);
  return step.do === "serve" ? "opening the KMIP port" : step.message;
}
