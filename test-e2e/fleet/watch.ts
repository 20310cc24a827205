import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { cluster, namespace, type Place } from "./places.ts";

/** One line that a watch printed, and when. */
export interface Sight {
  readonly atMs: number;
  readonly line: string;
}

/** Lines of `kubectl get --watch`, as they come. */
export interface Watch {
  readonly seen: readonly Sight[];
  /** Waits for a line that fits, among those since `sinceMs`; throws after the deadline with the last line. */
  next(fits: (line: string) => boolean, options: { sinceMs: number; deadlineMs: number; what: string }): Promise<Sight>;
  stop(): void;
}

/** Watches what `kubectl get kms` shows in a site: "3/3 6/6 all nodes serve" (sites, nodes, message). */
export function watchStatus(place: Place, site: string): Watch {
  const columns = "{.status.sites} {.status.nodes} {.status.message}";
  return watch(place, site, ["kmscluster", cluster, "-o", `jsonpath=${columns}{"\\n"}`]);
}

/** Watches what the nodes of a site are told about belonging: "dc1-a Join". */
export function watchMemberships(place: Place, site: string): Watch {
  const columns = "{.metadata.name} {.spec.membership.action}";
  return watch(place, site, ["kmsnode", "-o", `jsonpath=${columns}{"\\n"}`]);
}

/** Watches the versions of a site's nodes: told, run, and whether it serves: "dc1-a 0.2.0 0.1.0 False". */
export function watchVersions(place: Place, site: string): Watch {
  const serving = '{.status.conditions[?(@.type=="Serving")].status}';
  const columns = `{.metadata.name} {.spec.version} {.status.version} ${serving}`;
  return watch(place, site, ["kmsnode", "-o", `jsonpath=${columns}{"\\n"}`]);
}

/** Watches what the nodes of a site say of their settings: "dc1-a RestartNeeded". */
export function watchSettings(place: Place, site: string): Watch {
  const reason = '{.status.conditions[?(@.type=="SettingsApplied")].reason}';
  return watch(place, site, ["kmsnode", "-o", `jsonpath={.metadata.name} ${reason}{"\\n"}`]);
}

function watch(place: Place, site: string, what: readonly string[]): Watch {
  const [program = "", ...words] = place.sites.kubectlCommand(site, ["-n", namespace, "get", "--watch", ...what]);
  const child = spawn(program, words, { stdio: ["ignore", "pipe", "ignore"] });
  const seen: Sight[] = [];
  const waiting = new Set<() => void>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (line === "") return;
    seen.push({ atMs: performance.now(), line });
    for (const wake of [...waiting]) wake();
  });
  const next: Watch["next"] = (fits, { sinceMs, deadlineMs, what: wanted }) =>
    new Promise((resolve, reject) => {
      const end = () => {
        waiting.delete(look);
        clearTimeout(timer);
      };
      const look = () => {
        const found = seen.find(({ atMs, line }) => atMs >= sinceMs && fits(line));
        if (found === undefined) return;
        end();
        resolve(found);
      };
      const timer = setTimeout(() => {
        end();
        reject(new Error(`${wanted}: not within ${deadlineMs / 1000} s; ${site} last said: ${seen.at(-1)?.line}`));
      }, deadlineMs);
      waiting.add(look);
      look();
    });
  return { seen, next, stop: () => void child.kill() };
}
