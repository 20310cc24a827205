/** What a cloud gives a cluster, for one site: addresses for LoadBalancer Services, volumes for claims. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { apiClient } from "./api-client.ts";
import { assignAddresses, type Service } from "./load-balancer.ts";
import { provisionVolumes } from "./local-volumes.ts";

const folder = process.env.KF_DIR ?? "";
const number = process.env.KF_NUMBER ?? "";
const settleMs = 30;
const retryMs = 1000;
const api = apiClient(readFileSync(join(folder, "super-admin.conf"), "utf8"));

/** Events only say that something changed; each time everything is looked at, so nothing is ever missed. */
function reconcileOnChange(paths: readonly string[], work: () => Promise<void>): void {
  let state: "idle" | "running" | "again" = "idle";
  const trigger = (): void => {
    if (state === "idle") {
      state = "running";
      void loop();
    } else state = "again";
  };
  const loop = async (): Promise<void> => {
    let waitMs = settleMs;
    do {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      state = "running";
      waitMs = settleMs;
      try {
        await work();
      } catch (error) {
        console.log(JSON.stringify({ level: "warn", message: String(error) }));
        state = "again";
        waitMs = retryMs;
      }
    } while ((state as string) === "again");
    state = "idle";
  };
  for (const path of paths) void api.watch(path, trigger);
  trigger();
}

reconcileOnChange(["/api/v1/services"], async () => {
  const { items } = await api.request<{ items: Service[] }>("GET", "/api/v1/services");
  for (const { path, ip } of assignAddresses(items, `10.203.${number}.`)) {
    await api.request("PATCH", `${path}/status`, { status: { loadBalancer: { ingress: [{ ip, ipMode: "VIP" }] } } });
    console.log(JSON.stringify({ level: "info", message: "address assigned", service: path, ip }));
  }
});
reconcileOnChange(["/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes"], () =>
  provisionVolumes(api, join(folder, "volumes")),
);
