import type { KmsNode, KmsNodeStatus } from "@keyfleet/crds/kms-node.ts";
import type { Settings } from "../config/settings.ts";
import type { Log } from "../config/source.ts";
import { type StatusServer, startStatusServer } from "../health/status-server.ts";
import type { MeshTls } from "../replication/types.ts";

/** Where the operator of its site reads the status of a node outside Kubernetes; open while there is a certificate. */
export class StatusDoor {
  readonly #options: { readonly settings: Settings; readonly log: Log; readonly status: () => KmsNodeStatus };
  #server: StatusServer | undefined;
  #tls: MeshTls | undefined;
  #busy = false;

  constructor(options: { readonly settings: Settings; readonly log: Log; readonly status: () => KmsNodeStatus }) {
    this.#options = options;
  }

  /** Name and port for the status; empty while it is closed. */
  get interfaces(): readonly { readonly name: string; readonly port: number }[] {
    return this.#server === undefined ? [] : [{ name: "status", port: this.#server.port }];
  }

  /** Opens it, or takes a new certificate live; does nothing where no port is set. Failures are tried again at the next call. */
  async tend(node: KmsNode, tls: MeshTls): Promise<void> {
    if (this.#options.settings.statusPort === 0 || this.#busy) return;
    if (this.#server !== undefined && JSON.stringify(tls) === JSON.stringify(this.#tls)) return;
    this.#busy = true;
    try {
      if (this.#server === undefined) this.#server = await this.#open(node, tls);
      else this.#server.updateTls(tls);
      this.#tls = tls;
    } catch (error) {
      this.#options.log("warn", "cannot open the status port", { problem: (error as Error).message });
    } finally {
      this.#busy = false;
    }
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }

  #open(node: KmsNode, tls: MeshTls): Promise<StatusServer> {
    const { settings, status } = this.#options;
    const { apiVersion, kind, spec } = node;
    const { name } = node.metadata;
    return startStatusServer({
      host: settings.listenAddress,
      port: settings.statusPort,
      tls,
      caller: { site: spec.site, cluster: spec.cluster },
      status: () => ({ apiVersion, kind, metadata: { name }, status: status() }),
    });
  }
}
