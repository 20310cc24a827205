import { homedir } from "node:os";
import { join } from "node:path";
import type { Sites } from "../sites/driver.ts";

/** The checkout. */
export const root = join(import.meta.dirname, "../..");

/** What is built once and kept outside the checkout. */
export const cache =
  process.env.KEYFLEET_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "keyfleet");

/** The namespace of everything, and the fleet of examples/kmscluster.yaml. */
export const namespace = "keyfleet";
export const cluster = "bank";

/** Sites with what this run made for them. */
export interface Place {
  readonly sites: Sites;
  /** Client certificates and the servers' CA, readable by the owner only. */
  readonly certificates: string;
}
