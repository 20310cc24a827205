import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Sites } from "./driver.ts";
import { siteFolder, siteNames } from "./places.ts";

const zoneLabel = "topology.kubernetes.io/zone";

/**
 * The zones of one local site, driven as if each were a site: a zone is a machine with its label and a namespace of its
 * own, NAMESPACE-ZONE. What is said to a site about `namespace` is said about the zone's.
 */
export function zoneSites(local: Sites, { site, namespace }: { site: string; namespace: string }): Sites {
  const own = (zone: string) => `${namespace}-${zone}`;
  const machine = (zone: string) => `${site}/${siteNames.indexOf(zone as (typeof siteNames)[number]) + 1}`;
  const refuse = (what: string) => async (): Promise<never> => {
    throw new Error(`${what} is not possible with zones of one site`);
  };
  const ofZone = (zone: string, path: string) => path.replace(`/namespaces/${namespace}/`, `/namespaces/${own(zone)}/`);
  const toZone = (zone: string, args: readonly string[]) =>
    args.map((arg, at) => {
      if (arg === namespace && /^(-n|--namespace|namespace)$/.test(args[at - 1] ?? "")) return own(zone);
      return ofZone(zone, arg);
    });
  return {
    ...local,
    names: siteNames,
    up: async () => {
      for (const [index, zone] of siteNames.entries()) writeZone(site, index + 1, zone);
      await local.up([site]);
    },
    kill: (zone) => local.kill(machine(zone)),
    start: (zone) => local.start(machine(zone)),
    cut: refuse("a cut link"),
    cutOneWay: refuse("a cut link"),
    isolate: refuse("isolation"),
    kubectl: (zone, args, input) =>
      local.kubectl(site, toZone(zone, args), input === undefined ? undefined : inputOf(input, namespace, own(zone))),
    read: (zone, path) => local.read(site, ofZone(zone, path)),
    kubectlCommand: (zone, args) => local.kubectlCommand(site, toZone(zone, args)),
    // Where it goes is told by the file of the zone that it is run with.
    exec: (command, options = {}) => {
      const zone = siteNames.find((name) => options.env?.KUBECONFIG?.endsWith(`#${name}`));
      if (zone === undefined) return local.exec(command, options);
      const env = { ...options.env, KUBECONFIG: local.kubeconfig(site) };
      return local.exec([...toZone(zone, command), ...(command[0] === "helm" ? chartValues(zone) : [])], {
        ...options,
        env,
      });
    },
    kubeconfig: (zone) => `${local.kubeconfig(site)}#${zone}`,
  };
}

/**
 * Kubelet sets the label of its zone again whenever it starts, so it has to know it: a label that only kubectl gave would be
 * gone when the machine returns, and with it every pod that is bound to the zone.
 */
function writeZone(site: string, worker: number, zone: string): void {
  const folder = join(siteFolder(site), `w${worker}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "zone"), zone);
}

/** The operator runs in its zone; what belongs to the whole cluster comes with the first release. */
function chartValues(zone: string): string[] {
  const first = zone === siteNames[0];
  const selector = `nodeSelector.${zoneLabel.replaceAll(".", "\\.")}=${zone}`;
  return ["--set", selector, ...(first ? [] : ["--set", "crds.enabled=false,priorityClass.create=false"])];
}

/** An object goes into the zone's namespace; a peer's kubeconfig goes there too, and goes on naming the peer's. */
function inputOf(text: string, namespace: string, own: string): string {
  const peer = /^( {2}name: keyfleet-site-\S+\n {2}namespace: )\S+$/m;
  if (peer.test(text)) return text.replace(peer, `$1${own}`);
  return text
    .replaceAll(`"namespace":"${namespace}"`, `"namespace":"${own}"`)
    .replace(`"kind":"Namespace","metadata":{"name":"${namespace}"`, `"kind":"Namespace","metadata":{"name":"${own}"`);
}
