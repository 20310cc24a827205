import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Place, root } from "./places.ts";

/** A proxy that runs where clients are; every site reaches it. */
export interface TunnelProxy {
  readonly address: string;
  /** HOST:PORT of each tunnel so far. */
  tunnels(): readonly string[];
  end(): Promise<void>;
}

/** Starts it at the first address that the clients' network gives. */
export async function aTunnelProxy(place: Place): Promise<TunnelProxy> {
  const { stdout } = await place.sites.exec(["hostname", "-I"]);
  const [host = ""] = stdout.trim().split(/\s+/);
  const program = join(root, "test-e2e/clients/tunnel-proxy.ts");
  const [name = "", ...words] = place.sites.clientCommand([process.execPath, program, host]);
  const child = spawn(name, words, { stdio: ["pipe", "pipe", "inherit"] });
  const lines: string[] = [];
  const output = createInterface({ input: child.stdout });
  output.on("line", (line) => lines.push(line));
  await Promise.race([once(output, "line"), once(child, "exit")]);
  const port = /^port (\d+)$/.exec(lines[0] ?? "")?.[1];
  if (port === undefined) throw new Error(`the proxy at ${host} did not begin`);
  return {
    address: `http://${host}:${port}`,
    tunnels: () => lines.slice(1),
    end: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.stdin.end();
      await once(child, "exit");
    },
  };
}
