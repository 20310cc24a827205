import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FleetNode } from "../../node-image/testing/fleet-node.ts";
import { refuseLeaks } from "../../node-image/testing/leak-search.ts";
import { cluster, namespace, type Place, root } from "./places.ts";

/** A machine outside Kubernetes beside the sites, with a node of the fleet on it. */
export interface Machine {
  readonly node: FleetNode;
  /** Keeps its document as the operator shows it, by the script of the examples; the first time it also waits for one. */
  follow(): void;
  /** The certificate request that the node has made, as its administrator gets it there. */
  request(): Promise<string>;
  end(): Promise<void>;
}

export interface MachineOptions {
  readonly name: string;
  readonly site: string;
  readonly version: string;
  /** An address in the network of the clients that nobody has. */
  readonly address: string;
}

/** Makes the machine; nothing runs on it yet. */
export async function aMachine(place: Place, { name, site, version, address }: MachineOptions): Promise<Machine> {
  const { sites } = place;
  await sites.exec(["ip", "address", "replace", `${address}/24`, "dev", "wan"]);
  const folder = mkdtempSync(join(tmpdir(), "keyfleet-machine-"));
  const [timeServer = ""] = sites.timeServers;
  const enter = sites.clientCommand([]);
  const node = new FleetNode({ name, site, cluster, version, address, timeServer, folder, enter });
  let following: ReturnType<typeof spawn> | undefined;
  return {
    node,
    follow: () => {
      const script = join(root, "examples/external/follow-document.sh");
      const env = { ...process.env, KUBECTL: sites.kubectlCommand(site, []).join(" "), EVERY_SECONDS: "1" };
      following = spawn(script, [name, namespace, node.documentFile], { env, stdio: ["ignore", "ignore", "inherit"] });
    },
    request: async () => {
      const { code, lines } = await node.run([
        ...[
          "/opt/keyfleet/node_modules/.bin/node",
          "/opt/keyfleet/node-image/keyfleet-node.ts",
          "request",
          "/run/keyfleet/node.yaml",
        ],
      ]);
      if (code !== 0) throw new Error(lines.join("\n"));
      return lines.join("\n");
    },
    end: async () => {
      following?.kill("SIGTERM");
      await node.killAll();
      const { leaks, texts } = node.shown();
      rmSync(folder, { recursive: true, force: true });
      await sites.exec(["ip", "address", "del", `${address}/24`, "dev", "wan"]);
      refuseLeaks(texts, leaks);
    },
  };
}
