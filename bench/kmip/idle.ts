import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { alignTable } from "../table.ts";
import { memoryMib } from "./generator.ts";
import type { Hold } from "./hold.ts";
import { message } from "./messages.ts";
import { startNode, type Target } from "./servers.ts";

/** Memory is read once the node has come to rest. */
const restMs = 5_000;

/** Opens idle connections, from one address and from many, and prints the memory of the node's processes. */
export async function measureIdle(connections: number): Promise<void> {
  const node = await startNode({ profiled: false });
  const rows: IdleRow[] = [];
  try {
    await pause(restMs);
    rows.push(row(node, { connections: 0, addresses: 0 }));
    for (const addresses of [1, 250]) {
      const held = await hold(node, connections, addresses);
      await pause(restMs);
      rows.push(row(node, { connections: held.open, addresses, problem: held.problem }));
      const left = await held.end();
      if (left < held.open) console.error(`${held.open - left} connections were closed by the server meanwhile`);
      await pause(1000);
    }
  } finally {
    await node.stop();
  }
  const lines = rows.map((each) => [
    String(each.connections),
    String(each.addresses),
    each.keyServerMib.toFixed(0),
    each.nodeMib.toFixed(0),
    each.loadAverage.toFixed(1),
  ]);
  const columns = ["idle connections", "addresses", "key server MiB", "whole node MiB", "load average"];
  console.log(`\n${alignTable([columns, ...lines], [])}\n`);
  for (const each of rows) console.log(JSON.stringify(each));
}

interface IdleRow {
  readonly connections: number;
  readonly addresses: number;
  /** Proportional set sizes. */
  readonly keyServerMib: number;
  readonly nodeMib: number;
  readonly loadAverage: number;
  readonly problem?: string | undefined;
}

function row(node: Target, of: { connections: number; addresses: number; problem?: string | undefined }): IdleRow {
  const groups = node.processes();
  const all = Object.values(groups).flat();
  return {
    ...of,
    keyServerMib: memoryMib(groups.server ?? []),
    nodeMib: memoryMib(all),
    loadAverage: loadavg()[0] ?? 0,
  };
}

async function hold(node: Target, connections: number, addresses: number) {
  const { host, port, authority, identity } = node.access;
  const wanted: Hold = {
    ...identity,
    host,
    port,
    authority,
    connections,
    addresses,
    request: message.query().toString("hex"),
  };
  const folder = mkdtempSync(join(tmpdir(), "keyfleet-hold-"));
  const file = join(folder, "hold.json");
  writeFileSync(file, JSON.stringify(wanted), { mode: 0o600 });
  const child = spawn(process.execPath, [join(import.meta.dirname, "hold.ts"), file], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value ?? '{"open":0}') as { open: number; problem?: string };
  const first = await next();
  return {
    ...first,
    end: async (): Promise<number> => {
      child.stdin.end();
      const { open } = await next();
      if (child.exitCode === null) await once(child, "exit");
      rmSync(folder, { recursive: true, force: true });
      return open;
    },
  };
}
