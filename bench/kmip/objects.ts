import { randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { tag } from "../../node-image/kmip/tags.ts";
import { findItem } from "../../node-image/testing/items.ts";
import { connectKmip } from "../../node-image/testing/kmip-client.ts";
import { alignTable } from "../table.ts";
import { fill } from "./fill.ts";
import { generate, memoryMib } from "./generator.ts";
import { message } from "./messages.ts";
import { type NodeTarget, startNode } from "./servers.ts";
import { type Row, table } from "./table.ts";

/** How many objects, and how each operation is measured on them. */
export interface ObjectsOptions {
  readonly objects: number;
  readonly connections: readonly number[];
  readonly measureMs: number;
}

const requestsMax = 1_000_000;
const warmupMs = 1_000;
/** Names that are searched for. */
const namesMax = 5_000;
const startDeadlineMs = 120_000;
/** Of each run of heating. */
const heatMs = [4_000, 4_000];

const nameOf = (number: number) => `bench-object-${number}`;

/** Fills a node's store, starts the node again and measures what a client sees; prints tables and lines. */
export async function measureObjects({ objects, connections, measureMs }: ObjectsOptions): Promise<void> {
  const programs: Record<string, Record<string, unknown>> = {};
  const node = await startNode({ profiled: false, local: { programs } });
  try {
    const owner = await ownIdentity(node);
    await restart(node, programs, { run: false });
    const beganMs = performance.now();
    const ids = await fill({ folder: node.node.folder, objects, nameOf, owner });
    const fillSeconds = (performance.now() - beganMs) / 1000;
    const startSeconds = await restart(node, programs, {});
    const names = () => Array.from({ length: Math.min(objects, namesMax) }, () => nameOf(randomInt(objects)));
    // Until V8 has compiled what they run through; of other names than those that are measured.
    for (const measureMs of heatMs)
      await measure(node, { operation: "heating", requests: names().map(message.locate), connections: 16, measureMs });
    const rows: Row[] = [];
    for (const [operation, requests] of [
      ["Locate by name", names().map(message.locate)],
      ["Get", ids.map(message.get)],
    ] as const) {
      for (const count of connections)
        rows.push(await measure(node, { operation, requests, connections: count, measureMs }));
    }
    report(rows, { objects, fillSeconds, startSeconds, ...memoryOf(node) });
  } finally {
    await node.stop();
  }
}

/** The identity under which the measuring client owns objects, as the store writes it. */
async function ownIdentity(node: NodeTarget): Promise<string> {
  const client = await connectKmip({ ...node.access, version: 12 });
  const answer = await client.exchange(message.create("bench-owner"));
  const id = findItem(answer, tag.UniqueIdentifier)?.value as string;
  client.close();
  return node.ownerOf(id);
}

/** Ends the node in order and starts it with its key server so; seconds until it serves, or until its sidecars can be used. */
async function restart(
  node: NodeTarget,
  programs: Record<string, Record<string, unknown>>,
  keyServer: Record<string, unknown>,
): Promise<number> {
  await node.node.stop();
  programs.keyServer = keyServer;
  node.node.edit({});
  const begin = performance.now();
  node.node.start();
  const ready = keyServer.run === false ? () => sidecarsReady(node.node.folder) : () => serves(node);
  while (!(await ready())) {
    if (performance.now() - begin > startDeadlineMs) throw new Error("the node has not started in time");
    await pause(50);
  }
  return (performance.now() - begin) / 1000;
}

async function sidecarsReady(folder: string): Promise<boolean> {
  const files = ["run/hsm/hsm.sock", "run/postgres/.s.PGSQL.5432"];
  await pause(2_000);
  return files.every((file) => existsSync(join(folder, file)));
}

/** Whether a client gets an answer that needs the store. */
async function serves(node: NodeTarget): Promise<boolean> {
  try {
    const client = await connectKmip({ ...node.access, version: 12 });
    const answer = await client.exchange(message.locate(nameOf(0))).finally(() => client.close());
    return findItem(answer, tag.UniqueIdentifier) !== undefined;
  } catch {
    return false;
  }
}

async function measure(
  node: NodeTarget,
  of: {
    readonly operation: string;
    readonly requests: readonly Buffer[];
    readonly connections: number;
    readonly measureMs: number;
  },
): Promise<Row> {
  const { operation, connections, measureMs } = of;
  const { host, port, authority, identity } = node.access;
  const requests = of.requests.map((request) => request.toString("hex"));
  const parts = { ...identity, host, port, authority, connections, requestsMax, warmupMs, measureMs };
  const measured = await generate({ ...parts, mode: "requests", requests }, node.processes);
  console.error(`${operation}, ${connections} connections: p99 ${measured.p99Ms.toFixed(2)} ms`);
  return { operation, connections, server: node.name, ...measured };
}

function memoryOf(node: NodeTarget): { readonly keyServerMib: number; readonly nodeMib: number } {
  const groups = node.processes();
  return { keyServerMib: memoryMib(groups.server ?? []), nodeMib: memoryMib(Object.values(groups).flat()) };
}

function report(
  rows: readonly Row[],
  summary: {
    readonly objects: number;
    readonly fillSeconds: number;
    readonly startSeconds: number;
    readonly keyServerMib: number;
    readonly nodeMib: number;
  },
): void {
  console.log(`\n${table(rows)}\n`);
  const names = ["objects", "filled in s", "start to serving s", "key server MiB", "whole node MiB"];
  console.log(
    `${alignTable(
      [
        names,
        [
          String(summary.objects),
          summary.fillSeconds.toFixed(0),
          summary.startSeconds.toFixed(2),
          summary.keyServerMib.toFixed(0),
          summary.nodeMib.toFixed(0),
        ],
      ],
      [],
    )}\n`,
  );
  for (const row of [...rows, summary]) console.log(JSON.stringify(row));
}
