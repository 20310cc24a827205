import type { Benchmark } from "./benchmark.ts";
import { kmip } from "./kmip/benchmark.ts";
import { operator } from "./operator/benchmark.ts";
import { replication } from "./replication/benchmark.ts";

const benchmarks: Readonly<Record<string, Benchmark>> = { kmip, operator, replication };

const [name = "--help", ...options] = process.argv.slice(2);
const benchmark = Object.hasOwn(benchmarks, name) ? benchmarks[name] : undefined;

if (benchmark === undefined || options.includes("--help")) {
  const shown = benchmark === undefined ? Object.entries(benchmarks) : [[name, benchmark] as const];
  console.log(
    "usage: npm run bench -- NAME [OPTION...]\nPrints a table and, a line a row, the same as JSON. Everything that is started ends with it.\n",
  );
  for (const [each, { help }] of shown) console.log(`${each}: ${help}`);
  process.exit(benchmark === undefined && name !== "--help" ? 2 : 0);
}
await benchmark.run(options);
