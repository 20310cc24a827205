import type { NodeSettings } from "@keyfleet/crds/kms-node.ts";
import type { KmsClusterSpec } from "../ports/types.ts";
import { pick } from "./random.ts";
import { uselessLibrary } from "./simulated-node.ts";

/** Settings that an administrator may give to the fleet, a site or a node; "/bad.so" and the like do not work. */
const settings: readonly ((random: () => number) => NodeSettings)[] = [
  () => ({ hsm: { library: "/bad.so" } }),
  (random) => ({ hsm: { library: `/good-${Math.floor(random() * 3)}.so` } }),
  (random) => ({ hsm: { environment: [{ name: "HSM_LOG", value: pick(random, ["quiet", "loud"]) }] } }),
  (random) => ({ ntp: { servers: [`ntp${Math.floor(random() * 3)}.bank.example`] } }),
  (random) => ({ ntp: { maxOffsetMs: pick(random, [100, 250, 500]) } }),
  (random) => ({ logs: { level: pick(random, ["debug", "info", "warn"]) } }),
  (random) => ({ logs: { kmipActivity: random() < 0.5 } }),
  (random) => ({ interfaces: { kmip: { port: pick(random, [5696, 15_696]) } } }),
  (random) => ({ interfaces: { rest: { port: pick(random, [8443, 9443]) } } }),
  (random) => ({ resources: { requests: { memory: pick(random, ["1Gi", "2Gi"]) } } }),
  (random) => ({ placement: { nodeSelector: { rack: pick(random, ["r1", "r2"]) } } }),
  (random) => ({ exposure: { annotations: { "bank.example/pool": pick(random, ["p1", "p2"]) } } }),
  (random) => ({ storage: { size: pick(random, ["10Gi", "20Gi", "30Gi"]) } }),
];

/** The document with one more setting: of the fleet, of a site or of a node. */
export function withSetting(spec: KmsClusterSpec, random: () => number): KmsClusterSpec {
  const added = pick(random, settings)(random);
  const place = random();
  if (place < 0.4) return { ...spec, defaults: merged(spec.defaults, added) };
  const site = pick(random, spec.sites);
  if (place < 0.7) return withSite(spec, site.name, (entry) => ({ ...entry, defaults: merged(entry.defaults, added) }));
  const name = pick(random, site.nodes)?.name;
  return withSite(spec, site.name, (entry) => ({
    ...entry,
    nodes: entry.nodes.map((node) => (node.name === name ? { ...node, settings: merged(node.settings, added) } : node)),
  }));
}

/** The document without the settings of sites and nodes of their own. */
export function withoutOwnSettings(spec: KmsClusterSpec): KmsClusterSpec {
  const sites = spec.sites.map(({ defaults: _site, ...site }) => ({
    ...site,
    nodes: site.nodes.map(({ settings: _node, ...node }) => node),
  }));
  return { ...spec, sites };
}

/** The document with settings that do not work, or cannot be had any more, taken out: a volume never shrinks. */
export function withWorkingSettings(spec: KmsClusterSpec): KmsClusterSpec {
  const sites = spec.sites.map((site) => ({
    ...site,
    ...(site.defaults === undefined ? {} : { defaults: working(site.defaults) }),
    nodes: site.nodes.map((node) =>
      node.settings === undefined ? node : { ...node, settings: working(node.settings) },
    ),
  }));
  const defaults = working(spec.defaults ?? {});
  const hsm = { library: "/good.so", ...defaults.hsm };
  const storage = { ...spec.defaults?.storage, size: "30Gi" };
  return { ...spec, sites, defaults: { ...defaults, hsm, storage } };
}

/** The document with another entry for a site. */
export function withSite(
  spec: KmsClusterSpec,
  name: string,
  change: (site: KmsClusterSpec["sites"][number]) => KmsClusterSpec["sites"][number],
): KmsClusterSpec {
  return { ...spec, sites: spec.sites.map((site) => (site.name === name ? change(site) : site)) };
}

function working({ storage: _storage, ...rest }: NodeSettings): NodeSettings {
  if (rest.hsm?.library !== "/bad.so" && rest.hsm?.library !== uselessLibrary) return rest;
  const { library: _library, ...hsm } = rest.hsm;
  return { ...rest, hsm };
}

function merged(under: NodeSettings = {}, over: NodeSettings): NodeSettings {
  const fields = Object.entries(over) as [keyof NodeSettings, object][];
  const added = fields.map(([name, value]) => [name, { ...(under[name] as object | undefined), ...value }]);
  return { ...under, ...Object.fromEntries(added) };
}
