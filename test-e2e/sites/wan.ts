/** The network between the sites: one bridge in a namespace that has no way out, its cut links and its time servers. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./command.ts";
import { here, instance, siteNames, siteNumber, siteRanges, state, wanNamespace } from "./places.ts";
import { launch, processesIn, removeTree } from "./process-tree.ts";

/** Links that are down. */
export interface Cuts {
  /** Pairs of sites that do not reach each other. */
  readonly pairs: readonly (readonly [string, string])[];
  /** Pairs of sites of which what the first sends does not reach the second. */
  readonly oneWay: readonly (readonly [string, string])[];
  /** Sites that reach nobody, and that clients do not reach. */
  readonly isolated: readonly string[];
}

/** Addresses of the time servers: two honest ones, one that lies by as much as it is told. */
export const timeServers = ["172.31.0.253", "172.31.0.252", "172.31.0.251"] as const;

/** All links work. */
export const noCuts: Cuts = { pairs: [], oneWay: [], isolated: [] };

const cutsFile = join(state, "cuts.json");
const skewFile = join(state, "skew.json");
const timeCgroup = `${instance}-time`;

/** Puts a command into the WAN's network. */
export function inWan(command: readonly string[]): string[] {
  return ["nsenter", `--net=/run/netns/${wanNamespace}`, ...command];
}

/** Whether the WAN is there. */
export function wanExists(): boolean {
  return existsSync(`/run/netns/${wanNamespace}`);
}

/** Makes the WAN and its time servers, as far as they are missing. */
export async function makeWan(): Promise<void> {
  mkdirSync(state, { recursive: true });
  if (!wanExists()) await run(["ip", "netns", "add", wanNamespace]);
  const addresses = ["172.31.0.254", ...timeServers].map((address) => `addr replace ${address}/24 dev wan`);
  const routes = siteNames.flatMap((site) =>
    [200, 201, 203].map(
      (range) => `route replace 10.${range}.${siteNumber(site)}.0/24 via 172.31.0.${siteNumber(site)}`,
    ),
  );
  const bridge = await run(inWan(["ip", "link", "show", "wan"]), { mayFail: true });
  const add = bridge.code === 0 ? [] : ["link add name wan type bridge"];
  const lines = ["link set lo up", ...add, ...addresses, "link set wan up", ...routes].join("\n");
  await run(inWan(["ip", "-batch", "-"]), { input: lines });
  // It never forwards: a packet to an address that a site does not have must not go to and fro.
  await run(inWan(["sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.disable_ipv6=1"]));
  await applyCuts(readCuts());
  await startTimeServers();
}

/** Plugs process 1 of a site into the WAN. */
export async function plug(site: string, pid: number): Promise<void> {
  // The old end may still be there for a moment after the loss of the site.
  await run(inWan(["ip", "link", "del", site]), { mayFail: true });
  await run([
    "ip",
    "link",
    "add",
    site,
    "netns",
    wanNamespace,
    "type",
    "veth",
    "peer",
    "name",
    "wan0",
    "netns",
    `${pid}`,
  ]);
  await run(inWan(["ip", "link", "set", site, "master", "wan", "up"]));
}

/** Removes the WAN and ends its time servers. */
export async function removeWan(): Promise<void> {
  await removeTree(timeCgroup);
  if (wanExists()) await run(["ip", "netns", "del", wanNamespace]);
}

/** The links that are down now. */
export function readCuts(): Cuts {
  return existsSync(cutsFile) ? { ...noCuts, ...JSON.parse(readFileSync(cutsFile, "utf8")) } : noCuts;
}

/** Takes exactly these links down: frames vanish, nobody is told. */
export async function applyCuts(cuts: Cuts): Promise<void> {
  const bothWays = cuts.pairs.flatMap(([a, b]) => [drop(a, b), drop(b, a)]);
  const rules = [...bothWays, ...cuts.oneWay.map(([from, to]) => drop(from, to))];
  const [incoming, outgoing] = ["iifname", "oifname"].map((side) =>
    cuts.isolated.map((site) => `${side} "${site}" drop`),
  );
  const input = [
    "table bridge cuts {",
    "}",
    "delete table bridge cuts",
    "table bridge cuts {",
    "chain in {",
    "type filter hook prerouting priority -300;",
    ...rules,
    ...(incoming ?? []),
    "}",
    "chain out {",
    "type filter hook postrouting priority -300;",
    ...(outgoing ?? []),
    "}",
    "}",
  ];
  await run(inWan(["nft", "-f", "-"]), { input: `${input.join("\n")}\n` });
  writeFileSync(cutsFile, JSON.stringify(cuts));
}

function drop(from: string, to: string): string {
  const set = (site: string) => `{ ${siteRanges(site).join(", ")} }`;
  return `ip saddr ${set(from)} ip daddr ${set(to)} drop`;
}

/** Starts the time servers that do not run. */
export async function startTimeServers(): Promise<void> {
  for (const [index, address] of timeServers.slice(0, 2).entries()) {
    const cgroup = `${timeCgroup}/${index + 1}`;
    if (processesIn(cgroup).length > 0) continue;
    const file = join(state, `chrony-${index + 1}.conf`);
    const lines = ["local stratum 8", "allow all", `bindaddress ${address}`, "cmdport 0", "bindcmdaddress /"];
    writeFileSync(file, `${[...lines, `pidfile ${file}.pid`, `driftfile ${file}.drift`].join("\n")}\n`);
    // -x: serves the machine's time and never touches its clock.
    launch(cgroup, inWan(["chronyd", "-x", "-d", "-u", "root", "-f", file]), `${file}.log`);
  }
  if (processesIn(`${timeCgroup}/3`).length === 0) {
    const liar = [process.execPath, join(here, "lying-time-server.ts"), timeServers[2], skewFile];
    launch(`${timeCgroup}/3`, inWan(liar), join(state, "lying-time-server.log"));
  }
}

/** Ends all time servers; startTimeServers() brings them back. */
export async function stopTimeServers(): Promise<void> {
  await removeTree(timeCgroup);
}

/** Lets the third time server lie by so many seconds from its next answer on. */
export function skewTime(seconds: number): void {
  writeFileSync(skewFile, JSON.stringify({ seconds }));
}
