import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import type { Durability } from "../../node-image/replication/types.ts";
import type { Benchmark } from "../benchmark.ts";
import { alignTable } from "../table.ts";
import { catchUp, type Figures, idle, joining, sustained, visibility } from "./measures.ts";
import { type BenchMesh, type MeshOptions, startMesh } from "./mesh.ts";

const help = `meshes of stores with real PostgreSQL on disk over mutual TLS, all on this machine; the first node has a process of its own
  --measure visible,sustained,idle   of: visible, sustained, sustained-all, catchup, join, idle
  --nodes 2,6,20              members over three sites
  --durability EverySite      EverySite, OtherSite, Local, or several, also by turns: a row more has what the first costs beyond the last, by means
  --round-trip 0              ms between any two nodes, by links in user space; several: 0,20,50,100,200
  --loss 0                    share of the pieces that are lost on such links
  --seconds 5                 of each sustained load
  --rest 30                   seconds without a write before "idle" is measured: each node has looked through its database and pruned
  --idle 300                  seconds of "idle", in which all that is done at rest has its turn: PostgreSQL's autovacuum each five minutes
  --writers 64                of each sustained load, in all
  --writes 300                one after another, of "visible"
  --away 20                   seconds that a node is away before it catches up
  --rate 400                  writes a second meanwhile
  --objects 100000            that a joiner finds
  --probe 10                  ms between two writes of each member meanwhile, whose longest is told; they share the processors
needs root and "make images"; the load average at the start is in each row`;

interface Row {
  readonly measure: string;
  readonly nodes: number;
  readonly durability: string;
  readonly roundTripMs: number;
  readonly lossShare: number;
  readonly loadAverage: number;
  readonly figures: Figures;
}

interface Scale {
  readonly seconds: number;
  readonly rest: number;
  readonly idle: number;
  readonly writers: number;
  readonly writes: number;
  readonly away: number;
  readonly rate: number;
  readonly objects: number;
  readonly probe: number;
}

const measures: Readonly<Record<string, (mesh: BenchMesh, scale: Scale) => Promise<Figures>>> = {
  visible: (mesh, { writes }) => visibility(mesh, writes),
  sustained: (mesh, scale) => sustained(mesh, { ...scale, nodes: 1 }),
  "sustained-all": (mesh, scale) => sustained(mesh, { ...scale, nodes: mesh.nodes.length }),
  idle: (mesh, scale) => idle(mesh, scale),
  catchup: (mesh, scale) => catchUp(mesh, scale),
  join: (mesh, scale) => joining(mesh, scale),
};

/** Replication: how soon, how much, at what cost. */
export const replication: Benchmark = { help, run };

async function run(words: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...words],
    options: {
      measure: { type: "string", default: "visible,sustained,idle" },
      nodes: { type: "string", default: "2,6,20" },
      durability: { type: "string", default: "EverySite" },
      "round-trip": { type: "string", default: "0" },
      loss: { type: "string", default: "0" },
      seconds: { type: "string", default: "5" },
      rest: { type: "string", default: "30" },
      idle: { type: "string", default: "300" },
      writers: { type: "string", default: "64" },
      writes: { type: "string", default: "300" },
      away: { type: "string", default: "20" },
      rate: { type: "string", default: "400" },
      objects: { type: "string", default: "100000" },
      probe: { type: "string", default: "10" },
    },
  });
  const { measure, nodes, durability, "round-trip": roundTrip, loss, ...numbers } = values;
  const scale = Object.fromEntries(Object.entries(numbers).map(([name, text]) => [name, Number(text)])) as never;
  const wanted = measure.split(",");
  const unknown = wanted.find((name) => !Object.hasOwn(measures, name));
  if (unknown !== undefined) throw new Error(`no measure "${unknown}": ${Object.keys(measures)}`);
  const modes = durability.split(",") as Durability[];
  const rows: Row[] = [];
  for (const options of meshes({ nodes, roundTrip, loss }))
    rows.push(...(await measured(options, { wanted, scale, modes })));
  console.log(`\n${table(rows)}\n`);
  for (const row of rows) console.log(JSON.stringify(row));
}

type Mesh = Omit<MeshOptions, "durability">;

function meshes(words: { nodes: string; roundTrip: string; loss: string }): Mesh[] {
  const list = (text: string) => text.split(",").map(Number);
  return list(words.nodes).flatMap((nodes) =>
    list(words.roundTrip).map((roundTripMs) => ({ nodes, roundTripMs, lossShare: Number(words.loss) })),
  );
}

/** One mesh, each of its measures with each durability in turn. */
async function measured(
  options: Mesh,
  { wanted, scale, modes }: { wanted: readonly string[]; scale: Scale; modes: readonly Durability[] },
): Promise<readonly Row[]> {
  const mesh = await startMesh({ ...options, durability: modes[0] ?? "EverySite" });
  const rows: Row[] = [];
  try {
    for (const measure of wanted) {
      const figures: Figures[] = [];
      const row = (mode: string, some: Figures) => {
        const loadAverage = loadavg()[0] ?? 0;
        rows.push({ measure, ...options, durability: mode, loadAverage, figures: some });
        console.error(`${measure}, ${options.nodes} nodes, ${mode}, ${options.roundTripMs} ms: ${text(some)}`);
      };
      for (const mode of modes) {
        await Promise.all(mesh.nodes.map((node) => node.ask("setDurability", mode)));
        figures.push((await measures[measure]?.(mesh, scale)) ?? {});
        row(mode, figures.at(-1) as Figures);
      }
      const [one, other] = [modes[0], modes.at(-1)].map((mode) => figures.filter((_, index) => modes[index] === mode));
      if (one !== undefined && other !== undefined && modes.length > 1)
        row(`${modes[0]} : ${modes.at(-1)}`, compared(one, other, options.roundTripMs));
    }
  } finally {
    await mesh.stop();
  }
  return rows;
}

/** What one durability costs beyond another, by the means of their rows. */
function compared(ones: readonly Figures[], others: readonly Figures[], roundTripMs: number): Figures {
  const mean = (rows: readonly Figures[], name: string) =>
    rows.reduce((sum, figures) => sum + (figures[name] ?? Number.NaN), 0) / rows.length;
  const throughput = mean(ones, "perSecond") / mean(others, "perSecond");
  const addedMedianMs = mean(ones, "answerP50Ms") - mean(others, "answerP50Ms");
  return {
    ...(Number.isNaN(throughput) ? {} : { throughput }),
    addedMedianMs,
    ...(roundTripMs === 0 ? {} : { addedRoundTrips: addedMedianMs / roundTripMs }),
  };
}

function table(rows: readonly Row[]): string {
  const header = ["measure", "figures", "nodes", "durability", "round trip ms", "load average"];
  const lines = rows.map(({ measure, figures, nodes, durability, roundTripMs, loadAverage }) => [
    measure,
    text(figures),
    `${nodes}`,
    durability,
    `${roundTripMs}`,
    loadAverage.toFixed(1),
  ]);
  return alignTable([header, ...lines], [0, 1]);
}

function text(figures: Figures): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${Number.isInteger(value) ? value : value.toFixed(value < 10 ? 2 : 0)}`)
    .join(", ");
}
