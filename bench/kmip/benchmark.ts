import { parseArgs } from "node:util";
import type { Benchmark } from "../benchmark.ts";
import { measureIdle } from "./idle.ts";
import { measureObjects } from "./objects.ts";
import { type Operation, operations } from "./operations.ts";
import { measureRequests } from "./requests.ts";

const help = `one node (real PostgreSQL on disk, SoftHSM) beside a TLS echo of the same bytes and PyKMIP's server
  --connections 1,16,64,256   connections, each with one request under way
  --operations get,create     those whose name begins so; default all
  --seconds 1.5               of each measurement (0.5 to 60); before the first of an operation its code is warmed up
  --servers keyfleet,echo,PyKMIP
  --rate 15000                so many requests a second in all connections together, each due at its time and counted from
                              there; without it each connection asks again as soon as it has its answer
  --profile                   writes a CPU profile of the key server and says where
or, instead of requests on a small store:
  --idle 3000                 memory of the node with so many connections that say nothing
  --objects 1000000           fills the store, then measures start to serving, Locate by name, Get and memory
needs root, "make images" and, for PyKMIP, test-e2e/clients/install.sh`;

interface Options {
  readonly connections: readonly number[];
  readonly operations: readonly Operation[];
  readonly measureMs: number;
  readonly servers: readonly string[];
  readonly rate: number | undefined;
  readonly profile: boolean;
  readonly idle: number | undefined;
  readonly objects: number | undefined;
}

/** KMIP: rates, ratios and latencies. */
export const kmip: Benchmark = {
  help,
  run: async (words) => {
    const options = parse(words);
    if (options.idle !== undefined) await measureIdle(options.idle);
    else if (options.objects !== undefined) await measureObjects({ ...options, objects: options.objects });
    else await measureRequests(options);
  },
};

function parse(words: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...words],
    options: {
      connections: { type: "string", default: "1,16,64,256" },
      operations: { type: "string", default: "" },
      seconds: { type: "string", default: "1.5" },
      servers: { type: "string", default: "keyfleet,echo,PyKMIP" },
      rate: { type: "string" },
      profile: { type: "boolean", default: false },
      idle: { type: "string" },
      objects: { type: "string" },
    },
  });
  const begins = values.operations.toLowerCase().split(",");
  return {
    connections: values.connections.split(",").map((text) => bounded(text, 1, 1000)),
    operations: operations.filter(({ name }) => begins.some((begin) => name.toLowerCase().startsWith(begin))),
    measureMs: 1000 * bounded(values.seconds, 0.5, 60),
    servers: values.servers.split(","),
    rate: values.rate === undefined ? undefined : bounded(values.rate, 1, 1_000_000),
    profile: values.profile,
    idle: values.idle === undefined ? undefined : bounded(values.idle, 1, 10_000),
    objects: values.objects === undefined ? undefined : bounded(values.objects, 1, 5_000_000),
  };
}

function bounded(text: string, least: number, most: number): number {
  const number = Number(text);
  if (!(number >= least && number <= most)) throw new RangeError(`${text} is not a number from ${least} to ${most}`);
  return number;
}
