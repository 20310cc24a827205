/** The command `sites`: reads its words, calls the driver. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "./command.ts";
import { sitesFromEnvironment } from "./driver.ts";
import { localStatus } from "./local-sites.ts";
import { siteFolder, siteNumber } from "./places.ts";
import { startTimeServers, stopTimeServers } from "./wan.ts";

const help = `usage: sites COMMAND

  up [SITE...]          start sites (dc1, dc2, dc3) and load the images; WORKERS=2: workers of a new site
  down                  end everything and delete all state
  status                what runs, which links are cut
  load                  bring newly built images into all running sites
  kubectl SITE ARGS...  kubectl as administrator of a site, also of an isolated one
  kubeconfig SITE       path of its administrator's kubeconfig, for use with exec
  exec COMMAND...       run a command in the network of the clients, which has no way out of the sites
  kill SITE[/WORKER]    total and instant loss; disks stay
  start SITE[/WORKER]   power comes back
  cut SITE SITE         the two no longer reach each other
  cut-one-way SITE SITE what the first sends no longer reaches the second
  isolate SITE          it reaches no other site and no client
  heal                  all links work again
  logs SITE [NAME]      the last lines of a program's log; without NAME: which there are
  ntp skew SECONDS      time server 172.31.0.251 is wrong by so much (honest: 172.31.0.253, 172.31.0.252)
  ntp stop | ntp start  all time servers

SITES=ctx1,ctx2 uses existing clusters by kubeconfig context instead; kill, start, cut, isolate and ntp are then refused.
KEYFLEET_SITES_INSTANCE=name runs a second set beside the first; KEYFLEET_SITES_STATE sets the folder of the state.
`;

async function main(words: readonly string[]): Promise<number> {
  const [command = "--help", ...rest] = words;
  if (["--help", "-h", "help"].includes(command)) {
    console.log(help);
    return 0;
  }
  const sites = sitesFromEnvironment();
  const [first = "", second = ""] = rest;
  const commands: Record<string, () => Promise<unknown> | unknown> = {
    up: () => sites.up(rest.length > 0 ? rest : sites.names),
    down: () => sites.down(),
    status: () => status(sites.names),
    load: () => sites.loadImages(),
    kubectl: async () => passOn(sites.kubectlCommand(need(first, "SITE"), rest.slice(1))),
    kubeconfig: () => console.log(sites.kubeconfig(need(first, "SITE"))),
    exec: async () =>
      (await sites.exec([need(first, "COMMAND"), ...rest.slice(1)], { inherit: true, mayFail: true })).code,
    kill: () => sites.kill(need(first, "SITE")),
    start: () => sites.start(need(first, "SITE")),
    cut: () => sites.cut(need(first, "SITE"), need(second, "SITE")),
    "cut-one-way": () => sites.cutOneWay(need(first, "SITE"), need(second, "SITE")),
    isolate: () => sites.isolate(need(first, "SITE")),
    heal: () => sites.heal(),
    logs: () => logs(need(first, "SITE"), second),
    ntp: () => ntp(first, second),
  };
  const chosen = commands[command];
  if (!chosen) throw new Error(`there is no command "${command}"; see: sites --help`);
  const code = await chosen();
  return typeof code === "number" ? code : 0;

  async function ntp(what: string, seconds: string): Promise<void> {
    if (what === "stop") return stopTimeServers();
    if (what === "start") return startTimeServers();
    if (what !== "skew" || !Number.isFinite(Number(need(seconds, "SECONDS"))))
      throw new Error("usage: sites ntp skew SECONDS | stop | start");
    return sites.skewTime(Number(seconds));
  }
}

async function status(names: readonly string[]): Promise<void> {
  if (!process.env.SITES) return console.log(localStatus().join("\n"));
  for (const name of names) {
    const output = await run(["kubectl", "--context", name, "get", "nodes"], { mayFail: true });
    console.log(`${name}\n${output.stdout}${output.stderr}`);
  }
}

async function logs(site: string, name: string): Promise<void> {
  siteNumber(site);
  const folders = ["", ...[1, 2, 3, 4].map((worker) => `w${worker}`)].flatMap((part) => [
    join(siteFolder(site), part),
    join(siteFolder(site), part, "log"),
  ]);
  const files = folders
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder)
        .filter((file) => file.endsWith(".log"))
        .map((file) => join(folder, file)),
    );
  const wanted = files.filter((file) => file.endsWith(`/${name}.log`));
  if (wanted.length === 0) return console.log(files.map((file) => file.slice(siteFolder(site).length + 1)).join("\n"));
  await run(["tail", "-n", "100", ...wanted], { inherit: true });
}

async function passOn(command: readonly string[]): Promise<number> {
  return (await run(command, { inherit: true, mayFail: true })).code;
}

function need(word: string, name: string): string {
  if (word === "") throw new Error(`${name} is missing; see: sites --help`);
  return word;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`sites: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
