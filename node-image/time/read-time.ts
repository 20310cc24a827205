import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { commandSocket, parseTimeServer } from "./time-configuration.ts";

/** One NTP server as chronyd sees it. */
export interface TimeServerReading {
  /** As written in the settings. */
  readonly address: string;
  /** It answered one of the last three times it was asked. */
  readonly reachable: boolean;
  readonly stratum?: number;
  /** This machine's clock less the server's: positive when this clock is ahead. */
  readonly offsetMs?: number;
}

/** This node's clock against its own NTP servers. */
export interface TimeReading {
  /** At least one server is reachable, so that worstOffsetMs means something. */
  readonly synchronised: boolean;
  /** Largest distance, without sign, to any reachable server; absent when none is. */
  readonly worstOffsetMs?: number;
  readonly servers: readonly TimeServerReading[];
}

const deadlineMs = 2_000;
const run = promisify(execFile);

/** Asks the chronyd of this node; a chronyd that does not answer counts as no server reachable. Never rejects for that. */
export async function readTime(runFolder: string, servers: readonly string[]): Promise<TimeReading> {
  const question = ["-c", "-N", "-h", commandSocket(runFolder), "sources"];
  try {
    const { stdout } = await run("chronyc", question, { timeout: deadlineMs, killSignal: "SIGKILL" });
    return parseSources(stdout, servers);
  } catch {
    return parseSources("", servers);
  }
}

/**
 * Reads the lines of `chronyc -c -N sources` for these servers: mode, state, name, stratum, poll, reach (octal), last
 * received, adjusted offset, measured offset, error bound; offsets in seconds.
 */
export function parseSources(csv: string, servers: readonly string[]): TimeReading {
  const rows = new Map(csv.split("\n").map((line) => [line.split(",")[2] ?? "", line.split(",")]));
  const rowOf = (address: string) => {
    const host = hostOf(address);
    return host === undefined ? undefined : rows.get(host);
  };
  const readings = servers.map((address) => reading(address, rowOf(address)));
  const offsets = readings.flatMap((server) => (server.offsetMs === undefined ? [] : [Math.abs(server.offsetMs)]));
  const synchronised = offsets.length > 0;
  return { synchronised, ...(synchronised ? { worstOffsetMs: Math.max(...offsets) } : {}), servers: readings };
}

/** Undefined where the settings name no server at all: one that nobody can reach. */
function hostOf(address: string): string | undefined {
  try {
    return parseTimeServer(address).host;
  } catch {
    return undefined;
  }
}

function reading(address: string, row: readonly string[] | undefined): TimeServerReading {
  const stratum = Number(row?.[3]);
  const reach = Number.parseInt(row?.[5] ?? "0", 8);
  const offsetMs = Math.round(Number(row?.[8]) * 1e6) / 1e3;
  const answered = (reach & 0b111) !== 0 && stratum > 0 && stratum < 16 && Number.isFinite(offsetMs);
  return answered ? { address, reachable: true, stratum, offsetMs } : { address, reachable: false };
}
