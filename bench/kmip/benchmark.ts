import { parseArgs } from "node:util";
import type { KmipClient } from "../../node-image/testing/kmip-client.ts";
import type { Benchmark } from "../benchmark.ts";
import { generate } from "./generator.ts";
import { type Operation, operations, type Prepared, prepare, prepareClient } from "./operations.ts";
import { startEcho, startNode, startPykmip, type Target } from "./servers.ts";
import { type Row, table } from "./table.ts";

const help = `one node (real PostgreSQL on disk, SoftHSM) beside a TLS echo of the same bytes and PyKMIP's server
  --connections 1,16,64,256   connections, each with one request under way
  --operations get,create     those whose name begins so; default all
  --seconds 3                 of each measurement (1 to 60), after a warm-up of a third
  --servers keyfleet,echo,PyKMIP
  --profile                   writes a CPU profile of the key server and says where
needs root, "make images" and test-e2e/clients/install.sh`;

const requestsMax = 3_000_000;

interface Options {
  readonly connections: readonly number[];
  readonly operations: readonly Operation[];
  readonly measureMs: number;
  readonly servers: readonly string[];
  readonly profile: boolean;
}

/** KMIP: rates, ratios and latencies. */
export const kmip: Benchmark = { help, run: async (words) => measureAll(parse(words)) };

function parse(words: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...words],
    options: {
      connections: { type: "string", default: "1,16,64,256" },
      operations: { type: "string", default: "" },
      seconds: { type: "string", default: "3" },
      servers: { type: "string", default: "keyfleet,echo,PyKMIP" },
      profile: { type: "boolean", default: false },
    },
  });
  const begins = values.operations.toLowerCase().split(",");
  return {
    connections: values.connections.split(",").map((text) => bounded(text, 1, 1000)),
    operations: operations.filter(({ name }) => begins.some((begin) => name.toLowerCase().startsWith(begin))),
    measureMs: 1000 * bounded(values.seconds, 1, 60),
    servers: values.servers.split(","),
    profile: values.profile,
  };
}

function bounded(text: string, least: number, most: number): number {
  const number = Number(text);
  if (!(number >= least && number <= most)) throw new RangeError(`${text} is not a number from ${least} to ${most}`);
  return number;
}

async function measureAll(options: Options): Promise<void> {
  const started: Target[] = [];
  const rows: Row[] = [];
  try {
    const node = await startNode(options.profile);
    started.push(node);
    const pykmip = options.servers.includes("PyKMIP") ? await startPykmip(node.fleet.clients) : undefined;
    if (pykmip !== undefined) started.push(pykmip);
    for (const operation of options.operations) {
      const { answer } = await prepared(operation, node);
      const echo = await startEcho(answer, node.fleet.clients);
      const targets = [node, echo, ...(pykmip === undefined ? [] : [pykmip])];
      try {
        rows.push(
          ...(await measureOperation(
            operation,
            targets.filter(({ name }) => options.servers.includes(name)),
            options,
          )),
        );
      } finally {
        await echo.stop();
      }
    }
  } finally {
    for (const target of started.toReversed()) await target.stop();
  }
  console.log(`\n${table(rows)}\n`);
  for (const row of rows) console.log(JSON.stringify(row));
}

const clients = new WeakMap<Target, Promise<KmipClient>>();
const preparations = new Map<string, Promise<Prepared>>();

/** Connects to the target once, and makes once what the operation needs. */
function prepared(operation: Operation, target: Target): Promise<Prepared> {
  const client = clients.get(target) ?? prepareClient(target);
  clients.set(target, client);
  const key = `${operation.name} ${target.name}`;
  const found = preparations.get(key) ?? client.then((open) => prepare(operation, open));
  preparations.set(key, found);
  return found;
}

/** The servers take turns at each number of connections, so that what else the machine does falls on all of them. */
async function measureOperation(operation: Operation, targets: readonly Target[], options: Options): Promise<Row[]> {
  const rows: Row[] = [];
  const { load } = await prepared(operation, targets[0] as Target);
  for (const connections of options.connections) {
    for (const target of targets) {
      const own = target.name === "echo" ? load : (await prepared(operation, target)).load;
      const { host, port, authority, identity } = target.access;
      const measured = await generate(
        {
          ...own,
          ...identity,
          host,
          port,
          authority,
          connections,
          requestsMax,
          warmupMs: Math.round(options.measureMs / 3),
          measureMs: options.measureMs,
          ...(target.maxVersion === undefined ? {} : { maxVersion: target.maxVersion }),
        },
        target.processes,
      );
      rows.push({ operation: operation.name, connections, server: target.name, ...measured });
      console.error(
        `${operation.name}, ${connections} connections, ${target.name}: ${measured.perSecond.toFixed(0)}/s ${measured.problem ?? ""}`,
      );
    }
  }
  return rows;
}
