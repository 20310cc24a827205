import type { KmipClient } from "../../node-image/testing/kmip-client.ts";
import { generate } from "./generator.ts";
import { type Operation, type Prepared, prepare, prepareClient } from "./operations.ts";
import { type NodeTarget, startEcho, startNode, startPykmip, type Target } from "./servers.ts";
import { type Row, table } from "./table.ts";

/** What is measured, where and for how long. */
export interface RequestOptions {
  readonly connections: readonly number[];
  readonly operations: readonly Operation[];
  readonly measureMs: number;
  readonly servers: readonly string[];
  /** Requests a second in all; undefined: as many as are answered. */
  readonly rate: number | undefined;
  readonly profile: boolean;
}

const requestsMax = 3_000_000;
/** Until V8 has compiled what an operation runs through. */
const heatMs = 2_000;
const heatConnections = 16;
const warmupMs = 300;

/** Measures each operation on all servers and prints a table and a line a row. */
export async function measureRequests(options: RequestOptions): Promise<void> {
  const rows: Row[] = [];
  const node = await startNode({ profiled: options.profile });
  try {
    for (const operation of options.operations) rows.push(...(await measureOperation(operation, node, options)));
  } finally {
    // What was measured is told, whatever came afterwards.
    console.log(`\n${table(rows)}\n`);
    for (const row of rows) console.log(JSON.stringify(row));
    await node.stop();
  }
}

interface Measuring {
  readonly target: Target;
  /** What to send; or why the server cannot be measured. */
  readonly prepared: Prepared | string;
}

/** The servers take turns at each number of connections, so that what else the machine does falls on all of them. */
async function measureOperation(operation: Operation, node: NodeTarget, options: RequestOptions): Promise<Row[]> {
  const own = await prepareOn(node, operation, await clientOf(node));
  const others = await startOthers(operation, own, { node, servers: options.servers });
  const all = [{ target: node, prepared: own }, ...others];
  const measured = all.filter(({ target }) => options.servers.includes(target.name));
  const rows: Row[] = [];
  try {
    for (const one of measured)
      if (one.target.name !== "PyKMIP") await measure(one, { connections: heatConnections, measureMs: heatMs });
    for (const connections of options.connections) {
      for (const one of measured) rows.push(await measuredRow(operation, one, { ...options, connections }));
    }
  } finally {
    for (const { target } of others) await target.stop();
  }
  return rows;
}

async function measuredRow(operation: Operation, one: Measuring, asked: Asking): Promise<Row> {
  const outcome = await orReason(measure(one, asked));
  const { connections } = asked;
  const head = { operation: operation.name, connections, server: one.target.name };
  const told = typeof outcome === "string" ? outcome : `${outcome.perSecond.toFixed(0)}/s ${outcome.problem ?? ""}`;
  console.error(`${operation.name}, ${connections} connections, ${one.target.name}: ${told}`);
  return typeof outcome === "string" ? { ...head, notMeasured: outcome } : { ...head, ...outcome };
}

/** The echo of the node's answer; and PyKMIP anew for each operation, since it works on for a long time at what clients asked that have left. */
async function startOthers(
  operation: Operation,
  own: Prepared,
  { node, servers }: { readonly node: NodeTarget; readonly servers: readonly string[] },
): Promise<Measuring[]> {
  const { clients: authority } = node.fleet;
  const others: Measuring[] = [];
  if (servers.includes("echo")) others.push({ target: await startEcho(own.answer, authority), prepared: own });
  if (servers.includes("PyKMIP")) {
    const target = await startPykmip(authority);
    others.push({ target, prepared: await orReason(prepareOn(target, operation)) });
  }
  return others;
}

const clients = new WeakMap<Target, Promise<KmipClient>>();

/** One connection to a server for all preparations. */
function clientOf(target: Target): Promise<KmipClient> {
  const found = clients.get(target) ?? prepareClient(target);
  clients.set(target, found);
  return found;
}

async function prepareOn(target: Target, operation: Operation, client?: KmipClient): Promise<Prepared> {
  if (client !== undefined) return prepare(operation, client);
  const own = await prepareClient(target);
  try {
    return await prepare(operation, own);
  } finally {
    own.close();
  }
}

/** How many ask, how long, and how much a second. */
interface Asking {
  readonly connections: number;
  readonly measureMs: number;
  readonly rate?: number | undefined;
}

function measure({ target, prepared }: Measuring, { connections, measureMs, rate }: Asking) {
  if (typeof prepared === "string") return Promise.reject(new Error(prepared));
  const { host, port, authority, identity } = target.access;
  const parts = { ...prepared.load, ...identity, host, port, authority, connections, requestsMax, warmupMs, measureMs };
  const paced = rate === undefined ? parts : { ...parts, rate };
  const load = target.maxVersion === undefined ? paced : { ...paced, maxVersion: target.maxVersion };
  return generate(load, target.processes);
}

/** What went wrong with a server is said in its row; the others are measured. */
async function orReason<Value>(work: Promise<Value>): Promise<Value | string> {
  try {
    return await work;
  } catch (error) {
    return (error as Error).message;
  }
}
