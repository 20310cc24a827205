import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** An NTP server as the settings name it: host, host:port, or [IPv6]:port. */
export interface TimeServer {
  /** As written in the settings. */
  readonly address: string;
  readonly host: string;
  readonly port?: number;
}

/** Servers that one node may ask. */
const maxServers = 16;

/** Seconds between two measurements of one server, as powers of two: 16 s at first, 64 s once they agree. */
const poll = "minpoll 4 maxpoll 6";

/** Writes chronyd's configuration for these servers, when it differs; time/start.sh notices. Throws TypeError on an address that is none. */
export function writeTimeConfiguration(runFolder: string, servers: readonly string[]): void {
  const folder = join(runFolder, "chrony");
  const path = join(folder, "chrony.conf");
  const text = timeConfiguration(runFolder, servers);
  if (present(path) === text) return;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/**
 * `noselect` keeps each server's offset a measurement against this machine's clock: chronyd -x would otherwise steer a
 * clock of its own and report how far the servers are from that one.
 */
export function timeConfiguration(runFolder: string, servers: readonly string[]): string {
  if (servers.length > maxServers)
    throw new TypeError(
      `${servers.length} NTP servers; at most ${maxServers} are possible: shorten settings.ntp.servers`,
    );
  const lines = servers
    .map(parseTimeServer)
    .map(({ host, port }) => `server ${host}${port === undefined ? "" : ` port ${port}`} iburst ${poll} noselect`);
  const places = [
    `bindcmdaddress ${commandSocket(runFolder)}`,
    `pidfile ${join(runFolder, "chrony", "command", "chronyd.pid")}`,
  ];
  return ["# Written by the key server.", ...lines, "port 0", "cmdport 0", ...places, ""].join("\n");
}

/** Where chronyd takes questions; in a folder that chronyd makes itself, as it wants it. */
export function commandSocket(runFolder: string): string {
  return join(runFolder, "chrony", "command", "chronyd.sock");
}

/** Takes an address apart; throws TypeError when it is neither host name nor IP address, with an optional port. */
export function parseTimeServer(address: string): TimeServer {
  const bracketed = /^\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?$/.exec(address);
  const bare = /^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$/.exec(address) === null ? undefined : address;
  const named = /^([A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}))(?::(\d{1,5}))?$/.exec(address);
  const host = bracketed?.[1] ?? bare ?? named?.[1];
  const portText = bracketed?.[2] ?? (bare === undefined ? named?.[2] : undefined);
  const port = portText === undefined ? undefined : Number(portText);
  if (host === undefined || port === 0 || (port ?? 1) > 65535) {
    throw new TypeError(
      `"${address}" is no NTP server; settings.ntp.servers takes host names or IP addresses, with ":port" when it is not 123`,
    );
  }
  return { address, host, ...(port === undefined ? {} : { port }) };
}

function present(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
