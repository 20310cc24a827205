import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import type { Durability } from "../../node-image/replication/types.ts";
import type { Benchmark } from "../benchmark.ts";
import { alignTable } from "../table.ts";
import { catchUp, type Figures, idle, joining, sustained, visibility } from "./measures.ts";
import { type BenchMesh, type MeshOptions, startMesh } from "./mesh.ts";

const help = `meshes of stores with real PostgreSQL on disk over mutual TLS, all on this machine; the stores and the load share a process
  --measure visible,sustained,catchup,join,idle
  --nodes 2,6,20              members over three sites
  --durability EverySite      EverySite, OtherSite, Local, or several
  --round-trip 0              ms between any two nodes, by links in user space; several: 0,20,50,100,200
  --loss 0                    share of the pieces that are lost on such links
  --seconds 5                 of each sustained load, and of idling
  --away 20                   seconds that a node is away before it catches up
  --objects 100000            that a joiner finds
needs root and "make images"; the load average at the start is in each row`;

interface Row {
  readonly measure: string;
  readonly nodes: number;
  readonly durability: Durability;
  readonly roundTripMs: number;
  readonly lossShare: number;
  readonly loadAverage: number;
  readonly figures: Figures;
}

interface Scale {
  readonly seconds: number;
  readonly away: number;
  readonly objects: number;
}

const measures: Readonly<Record<string, (mesh: BenchMesh, scale: Scale) => Promise<Figures>>> = {
  visible: (mesh) => visibility(mesh, 300),
  "sustained one": (mesh, { seconds }) => sustained(mesh, { writers: 64, nodes: 1, seconds }),
  "sustained all": (mesh, { seconds }) => sustained(mesh, { writers: 64, nodes: mesh.nodes.length, seconds }),
  catchup: (mesh, { away }) => catchUp(mesh, away),
  join: (mesh, { objects }) => joining(mesh, objects),
  idle: (mesh, { seconds }) => idle(mesh, seconds),
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
      away: { type: "string", default: "20" },
      objects: { type: "string", default: "100000" },
    },
  });
  const scale = { seconds: Number(values.seconds), away: Number(values.away), objects: Number(values.objects) };
  const wanted = Object.keys(measures).filter((name) =>
    values.measure.split(",").some((begin) => name.startsWith(begin)),
  );
  const rows: Row[] = [];
  for (const options of meshes(values)) {
    const mesh = await startMesh(options);
    try {
      for (const measure of wanted) {
        const loadAverage = loadavg()[0] ?? 0;
        const figures = await measures[measure]?.(mesh, scale);
        rows.push({ measure, ...options, loadAverage, figures: figures ?? {} });
        console.error(
          `${measure}, ${options.nodes} nodes, ${options.durability}, ${options.roundTripMs} ms: ${text(figures ?? {})}`,
        );
      }
    } finally {
      await mesh.stop();
    }
  }
  console.log(`\n${table(rows)}\n`);
  for (const row of rows) console.log(JSON.stringify(row));
}

function meshes(values: { nodes: string; durability: string; "round-trip": string; loss: string }): MeshOptions[] {
  const list = (words: string) => words.split(",").map(Number);
  return list(values.nodes).flatMap((nodes) =>
    list(values["round-trip"]).flatMap((roundTripMs) =>
      values.durability.split(",").map((durability) => ({
        nodes,
        durability: durability as Durability,
        roundTripMs,
        lossShare: Number(values.loss),
      })),
    ),
  );
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
