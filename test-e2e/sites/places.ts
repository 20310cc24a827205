import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of these files. */
export const here = dirname(fileURLToPath(import.meta.url));

/** The root of the checkout. */
export const checkout = dirname(dirname(here));

/** Where what is built outside the checkout is kept: programs, file systems, images. */
export const cache =
  process.env.KEYFLEET_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "keyfleet");

/** The image layout (OCI) that images.sh writes. */
export const imageLayout = join(cache, "images");

/** Name of this set of sites; sets of different names run beside each other. Part of every name outside the state. */
export const instance = process.env.KEYFLEET_SITES_INSTANCE ?? "kf";

/** Network namespace of the WAN, where clients and tests run. */
export const wanNamespace = `${instance}-wan`;

/** Folder with the state of this set of sites. */
export const state = process.env.KEYFLEET_SITES_STATE ?? join(tmpdir(), "keyfleet-sites", instance);

/** The sites in order; the number of a site, from 1, is in its addresses. */
export const siteNames = ["dc1", "dc2", "dc3"] as const;

/** The number of a site; throws for a name that is none. */
export function siteNumber(site: string): number {
  const index = (siteNames as readonly string[]).indexOf(site);
  if (index < 0) throw new Error(`there is no site "${site}"; the sites are ${siteNames.join(", ")}`);
  return index + 1;
}

/** The folder of a site's state. */
export function siteFolder(site: string): string {
  return join(state, site);
}

/** The cgroup, below each hierarchy, that holds every process of a site. */
export function siteCgroup(site: string): string {
  return `${instance}-${site}`;
}

/** Every range of addresses that belongs to a site: itself, its further workers, pods, LoadBalancer addresses. */
export function siteRanges(site: string): string[] {
  const number = siteNumber(site);
  return [`172.31.0.${number}/32`, ...[200, 201, 203].map((range) => `10.${range}.${number}.0/24`)];
}
