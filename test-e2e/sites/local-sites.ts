import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { apiReader } from "./api-reader.ts";
import { run } from "./command.ts";
import type { Sites } from "./driver.ts";
import { loadImages, makeSeed, seedCgroup } from "./image-load.ts";
import { siteCgroup, siteFolder, siteNames, siteNumber, state } from "./places.ts";
import { initProcess, killProcess, launch, processesIn, removeTree, until } from "./process-tree.ts";
import { checkRequirements, siteEnvironment, tools } from "./requirements.ts";
import {
  applyCuts,
  inWan,
  makeWan,
  noCuts,
  plug,
  readCuts,
  removeWan,
  skewTime,
  startTimeServers,
  timeServers,
} from "./wan.ts";

const readyDeadlineMs = 120_000;
const maxWorkers = 4;
const api = apiReader(kubectlCommand, siteFolder);

/** Kubernetes sites that run on this machine, each a process tree of its own. */
export function localSites(workers: number): Sites {
  if (!Number.isInteger(workers) || workers < 1 || workers > maxWorkers)
    throw new Error(`WORKERS must be 1 to ${maxWorkers}`);
  return {
    names: siteNames,
    timeServers,
    up: (sites = siteNames) => up(sites, workers),
    down,
    kill,
    start,
    cut: async (a, b) => {
      if (siteNumber(a) === siteNumber(b)) throw new Error("cut needs two different sites");
      const cuts = readCuts();
      await applyCuts({ ...cuts, pairs: [...cuts.pairs, [a, b]] });
    },
    cutOneWay: async (from, to) => {
      if (siteNumber(from) === siteNumber(to)) throw new Error("cut needs two different sites");
      const cuts = readCuts();
      await applyCuts({ ...cuts, oneWay: [...cuts.oneWay, [from, to]] });
    },
    isolate: async (site) => {
      siteNumber(site);
      const cuts = readCuts();
      await applyCuts({ ...cuts, isolated: [...cuts.isolated.filter((name) => name !== site), site] });
    },
    heal: () => applyCuts(noCuts),
    kubectl: (site, args, input) => run(kubectlCommand(site, args), input === undefined ? {} : { input }),
    kubectlCommand,
    read: api.read,
    exec: (command, options = {}) => run(inWan(command), { ...options, env: { PATH: clientPath(), ...options.env } }),
    clientCommand: inWan,
    kubeconfig: (site) => join(siteFolder(known(site)), "super-admin.conf"),
    loadImages: () => loadImages(runningWorkers()),
    skewTime: async (seconds) => {
      skewTime(seconds);
      await startTimeServers();
    },
  };
}

/** What runs now, a line each. */
export function localStatus(): string[] {
  const cuts = readCuts();
  return siteNames.map((site) => {
    const pid = sitePid(site);
    const workers = pid
      ? workerNumbers(site).map((worker) => `${site}/${worker} ${workerPid(site, worker) ? "runs" : "is off"}`)
      : [];
    const links = cuts.isolated.includes(site)
      ? ["isolated"]
      : [
          ...cuts.pairs.filter((pair) => pair.includes(site)).map((pair) => `cut ${pair.join("-")}`),
          ...cuts.oneWay.filter(([from]) => from === site).map(([, to]) => `unheard in ${to}`),
        ];
    return [`${site} ${pid ? `runs (process ${pid})` : "is off"}`, ...workers, ...links].join(", ");
  });
}

async function up(sites: readonly string[], workers: number): Promise<void> {
  for (const site of sites) siteNumber(site);
  checkRequirements(siteFolder("dc1"));
  const begin = Date.now();
  await makeSeed();
  await makeWan();
  await Promise.all(sites.map((site) => startSite(site, begin, workers)));
  await loadImages(runningWorkers());
  say(begin, "images are in every site");
}

async function start(target: string): Promise<void> {
  const begin = Date.now();
  const [site = "", worker] = parseTarget(target);
  if (worker === undefined) {
    if (!existsSync(join(siteFolder(site), "workers")))
      throw new Error(`site ${site} was never started; use: up ${site}`);
    await startSite(site, begin, workerNumbers(site).length);
  } else {
    if (!sitePid(site)) throw new Error(`site ${site} is off; start it as a whole: start ${site}`);
    rmSync(join(siteFolder(site), `stopped-${worker}`), { force: true });
    await ready(site, [worker], begin);
  }
}

async function startSite(site: string, begin: number, workers: number): Promise<void> {
  if (sitePid(site))
    return ready(
      site,
      workerNumbers(site).filter((worker) => workerPid(site, worker)),
      0,
    );
  const folder = siteFolder(site);
  await removeTree(siteCgroup(site)); // what a half-done start may have left
  mkdirSync(folder, { recursive: true });
  rmSync(join(folder, "api-ready"), { force: true });
  if (!existsSync(join(folder, "workers"))) writeFileSync(join(folder, "workers"), `${workers}`);
  const numbers = workerNumbers(site);
  for (const worker of numbers) rmSync(join(folder, `stopped-${worker}`), { force: true });
  const unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const command = [...unshare, "bash", join(import.meta.dirname, "site-init.sh")];
  launch(`${siteCgroup(site)}/system`, command, join(folder, "init.log"), siteEnvironment(site, numbers.length));
  await until(() => sitePid(site) !== undefined, `site ${site} to start; see ${join(folder, "init.log")}`);
  await plug(site, sitePid(site) ?? 0);
  await ready(site, numbers, begin);
  say(begin, `${site} is ready`);
}

/** Waits until these workers have reported to their API server, since `begin`, that they are Ready. */
async function ready(site: string, workers: readonly string[], begin: number): Promise<void> {
  const names = workers.map((worker) => `${site}-${worker}`);
  const condition = '.status.conditions[?(@.type=="Ready")]';
  const row = `{.metadata.name} {${condition}.status} {${condition}.lastHeartbeatTime}`.replaceAll(" ", '{" "}');
  const template = `jsonpath={range .items[*]}${row}{"\\n"}{end}`;
  const reported = async (): Promise<boolean> => {
    if (!sitePid(site)) throw new Error(`site ${site} ended; see ${join(siteFolder(site), "init.log")}`);
    if (!existsSync(join(siteFolder(site), "api-ready"))) return false;
    const rows = (await tryKubectl(site, ["-n", "default", "get", "nodes,serviceaccounts", "-o", template]))
      .split("\n")
      .map((line) => line.split(" "));
    // Heartbeats are in whole seconds.
    const fresh = (time = "") => Date.parse(time) > begin - 1000;
    const pods = rows.some(([name]) => name === "default"); // without that account no pod is made
    return (
      pods &&
      names.every((name) => rows.some(([node, status, time]) => node === name && status === "True" && fresh(time)))
    );
  };
  const what = `${names.join(", ")} to be Ready; see log/ and w*/log/ in ${siteFolder(site)}`;
  await until(reported, what, { deadlineMs: readyDeadlineMs, everyMs: 400 });
}

async function kill(target: string): Promise<void> {
  const [site, worker] = parseTarget(target);
  if (worker === undefined) {
    const pid = sitePid(site);
    if (!pid) throw new Error(`site ${site} does not run`);
    api.end(site);
    await killProcess(pid);
    await until(() => processesIn(siteCgroup(site)).length === 0, `the processes of ${site} to end`);
    return removeTree(siteCgroup(site));
  }
  const pid = workerPid(site, worker);
  if (!pid) throw new Error(`worker ${target} does not run`);
  writeFileSync(join(siteFolder(site), `stopped-${worker}`), "");
  await killProcess(pid);
  await removeTree(`${siteCgroup(site)}/w${worker}`);
}

async function down(): Promise<void> {
  for (const site of siteNames) api.end(site);
  await Promise.all([...siteNames.map(siteCgroup), seedCgroup].map(removeTree));
  await removeWan();
  rmSync(state, { recursive: true, force: true });
  try {
    rmdirSync(dirname(state));
  } catch {
    // another set of sites has its state there, or there was none
  }
}

function kubectlCommand(site: string, args: readonly string[]): string[] {
  const pid = sitePid(known(site));
  if (!pid) throw new Error(`site ${site} does not run`);
  const kubeconfig = join(siteFolder(site), "super-admin.conf");
  // From inside the site, so that an isolated one is reached too.
  return ["nsenter", "-t", `${pid}`, "-n", tools("kubernetes", "kubectl"), "--kubeconfig", kubeconfig, ...args];
}

async function tryKubectl(site: string, args: readonly string[]): Promise<string> {
  try {
    return (await run(kubectlCommand(site, args))).stdout;
  } catch {
    return ""; // not there yet
  }
}

function clientPath(): string {
  const folders = [tools("kubernetes", "kubectl"), tools("helm", "helm"), process.execPath].map((file) =>
    dirname(file),
  );
  return [...folders, process.env.PATH ?? ""].join(":");
}

function runningWorkers(): string[] {
  return siteNames.flatMap((site) =>
    workerNumbers(site)
      .filter((worker) => workerPid(site, worker))
      .map((worker) => join(siteFolder(site), `w${worker}`)),
  );
}

function workerNumbers(site: string): string[] {
  const file = join(siteFolder(site), "workers");
  const count = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  return Array.from({ length: count }, (_, index) => `${index + 1}`);
}

/** `dc1` or `dc1/2` or `dc1/dc1-2`. */
function parseTarget(target: string): [string, string?] {
  const [site = "", worker] = target.split("/");
  siteNumber(site);
  if (worker === undefined) return [site];
  const number = worker.replace(`${site}-`, "");
  if (!workerNumbers(site).includes(number))
    throw new Error(`site ${site} has no worker "${worker}"; it has ${workerNumbers(site).join(", ")}`);
  return [site, number];
}

function known(site: string): string {
  siteNumber(site);
  return site;
}

function sitePid(site: string): number | undefined {
  return initProcess(`${siteCgroup(site)}/system`);
}

function workerPid(site: string, worker: string): number | undefined {
  return initProcess(`${siteCgroup(site)}/w${worker}.system`, 2);
}

function say(begin: number, text: string): void {
  console.error(`[sites ${((Date.now() - begin) / 1000).toFixed(1).padStart(6)} s] ${text}`);
}
