import "./libraries/load-less.ts";
import { systemClock } from "./ports/clock.ts";
import { reconcile } from "./reconcile.ts";
import { jsonLog } from "./runtime/log.ts";
import { readSettings, type Settings, SettingsError, usage } from "./settings.ts";

// A declaration would be resolved before load-less.ts runs.
const { KeyfleetOperator } = await import("./keyfleet-operator.ts");

/** After SIGTERM everything closes by itself; what hangs is not waited for longer. */
const stopWithinMs = 5_000;

const settings = settingsOrExit();
const log = jsonLog({
  level: settings.logLevel,
  write: (line) => process.stdout.write(line),
  nowMs: systemClock.nowMs,
  fields: { site: settings.site },
});
const operator = operatorOrExit();
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, stop);
await operator.start();

function stop(): void {
  operator.stop();
  setTimeout(() => process.exit(0), stopWithinMs).unref();
}

/** Where the API server is is read while it is made. */
function operatorOrExit(): InstanceType<typeof KeyfleetOperator> {
  try {
    return new KeyfleetOperator({ settings, reconcile, clock: systemClock, log });
  } catch (error) {
    process.stderr.write(`the kubeconfig cannot be used: ${(error as Error).message}\n`);
    process.exit(2);
  }
}

function settingsOrExit(): Settings {
  try {
    const read = readSettings(process.argv.slice(2), process.env);
    if (read !== "help") return read;
    process.stdout.write(usage);
    process.exit(0);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(2);
  }
}
