import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { apiReader } from "./api-reader.ts";
import { run } from "./command.ts";
import type { Sites } from "./driver.ts";
import { state } from "./places.ts";

/** Existing clusters, each reached by a context of the kubeconfig; the site is called as the context is. */
export function clusterSites(contexts: readonly string[]): Sites {
  const known = (site: string) => {
    if (!contexts.includes(site)) throw new Error(`there is no site "${site}"; SITES lists ${contexts.join(", ")}`);
    return site;
  };
  const refuse = (what: string) => async (): Promise<never> => {
    throw new Error(`${what} is not possible with existing clusters; unset SITES to use local sites`);
  };
  return {
    names: contexts,
    timeServers: [],
    up: async (sites = contexts) => {
      for (const site of sites) await run(["kubectl", "--context", known(site), "get", "--raw", "/readyz"]);
      await writeKubeconfigs(sites);
    },
    down: async () => {},
    kill: refuse("kill"),
    start: refuse("start"),
    cut: refuse("cut"),
    cutOneWay: refuse("cut-one-way"),
    isolate: refuse("isolate"),
    heal: async () => {},
    skewTime: refuse("a time server that lies"),
    loadImages: async () =>
      console.error("existing clusters pull their images; push them to a registry that they reach"),
    kubectlCommand: (site, args) => ["kubectl", "--context", known(site), ...args],
    read: apiReader(
      (site, args) => ["kubectl", "--context", known(site), ...args],
      () => join(state, "clusters"),
    ).read,
    kubectl: (site, args, input) =>
      run(["kubectl", "--context", known(site), ...args], input === undefined ? {} : { input }),
    exec: (command, options) => run(command, options),
    clientCommand: (command) => [...command],
    kubeconfig: (site) => join(state, "clusters", `${known(site)}.kubeconfig`),
  };
}

/** Writes the files that kubeconfig() names, one a context, readable by the owner only. */
async function writeKubeconfigs(contexts: readonly string[]): Promise<void> {
  mkdirSync(join(state, "clusters"), { recursive: true, mode: 0o700 });
  for (const context of contexts) {
    const { stdout } = await run(["kubectl", "config", "view", "--minify", "--flatten", "--context", context]);
    writeFileSync(join(state, "clusters", `${context}.kubeconfig`), stdout, { mode: 0o600 });
  }
}
