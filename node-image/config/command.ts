import { parseArgs } from "node:util";

/** Where the command `verify` finds the running PostgreSQL and HSM sidecar. */
export interface VerifySettings {
  readonly command: "verify";
  readonly runFolder: string;
  readonly port: number;
}

/** A node outside Kubernetes, by its document. */
export interface RequestSettings {
  readonly command: "request";
  readonly file: string;
}

export const help = `Commands of a keyfleet node.

  node keyfleet-node.ts verify [options]
  node keyfleet-node.ts request FILE

  verify           checks the node's whole store against the master key: every row, every operation, that none is
                   missing, and that the objects are what the log says. PostgreSQL and the HSM sidecar must run; the
                   key server may. Changes nothing. Ends with 0 when all is well, 1 when not, 2 when it cannot tell.
  request          shows the certificate request (PEM) of the node outside Kubernetes whose document is FILE, once it has
                   run: what its administrator brings to the operator of its site. The key of it stays where it is.

  --run            folder that the node's programs share   [KEYFLEET_RUN, /run/keyfleet]
  --postgres-port  port that names PostgreSQL's unix socket [5432]
  --help           this text
`;

/** Throws with a sentence for people where a value cannot be used. */
export function readCommand(
  parameters: readonly string[],
  environment: NodeJS.ProcessEnv,
): VerifySettings | RequestSettings | "help" {
  const { values, positionals } = parseArgs({
    args: [...parameters],
    allowPositionals: true,
    options: { run: { type: "string" }, "postgres-port": { type: "string" }, help: { type: "boolean" } },
  });
  if (values.help) return "help";
  const [command, ...more] = positionals;
  if (command === "request" && more[0] !== undefined && more.length === 1) return { command, file: more[0] };
  if (command !== "verify" || more.length > 0)
    throw new Error(`unknown command "${positionals.join(" ")}"; try --help`);
  const port = Number(values["postgres-port"] ?? "5432");
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Error("--postgres-port is not a port");
  return { command, runFolder: values.run ?? environment.KEYFLEET_RUN ?? "/run/keyfleet", port };
}
