/** The one door to the sites, for stories, the demo and the command line. */
import { clusterSites } from "./cluster-sites.ts";
import type { CommandOptions, Output } from "./command.ts";
import { localSites } from "./local-sites.ts";

/** Sites to run a fleet on. A site is named by one of `names`; a worker as `SITE/NUMBER`, from 1. */
export interface Sites {
  readonly names: readonly string[];
  /** Starts the sites that do not run (all, or those named) and waits until their workers are Ready. */
  up(sites?: readonly string[]): Promise<void>;
  /** Ends everything and deletes all state. */
  down(): Promise<void>;
  /** Total, instant loss of a site or of one worker; its disks stay. */
  kill(target: string): Promise<void>;
  /** Power comes back to a site or to one worker; waits until it is Ready. */
  start(target: string): Promise<void>;
  /** The two sites no longer reach each other; packets vanish. One call after the other: two at once undo one another. */
  cut(a: string, b: string): Promise<void>;
  /** What the first site sends no longer reaches the second; the way back works. */
  cutOneWay(from: string, to: string): Promise<void>;
  /** The site reaches no other site and no client; kubectl() still reaches it. */
  isolate(site: string): Promise<void>;
  /** All links work again. */
  heal(): Promise<void>;
  /** Runs kubectl as administrator of a site; throws with its stderr when it fails. */
  kubectl(site: string, args: readonly string[], input?: string): Promise<Output>;
  /** The same as a command line, to start it oneself, such as for `logs -f`. */
  kubectlCommand(site: string, args: readonly string[]): string[];
  /** The text at a path of a site's API, such as /api/v1/nodes: for looks that are taken often. Rejects like kubectl(). */
  read(site: string, path: string): Promise<string>;
  /** Runs a command where clients are: it reaches every LoadBalancer address. */
  exec(command: readonly string[], options?: CommandOptions): Promise<Output>;
  /** The same as a command line, to start it oneself. */
  clientCommand(command: readonly string[]): string[];
  /** Path of an administrator's kubeconfig, usable with exec(). */
  kubeconfig(site: string): string;
  /** Brings the built images into every running site. */
  loadImages(): Promise<void>;
  /** Lets the third time server (172.31.0.251) be wrong by so many seconds. */
  skewTime(seconds: number): Promise<void>;
  /** Time servers that nodes can use: two honest ones, then the one that skewTime() changes. */
  readonly timeServers: readonly string[];
}

/**
 * The sites that the environment asks for: existing clusters when SITES lists kubeconfig contexts, local ones otherwise
 * (WORKERS: workers of each, 1 to 4).
 */
export function sitesFromEnvironment(): Sites {
  const contexts = (process.env.SITES ?? "").split(",").filter(Boolean);
  return contexts.length > 0 ? clusterSites(contexts) : localSites(Number(process.env.WORKERS ?? 1));
}
