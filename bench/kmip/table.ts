import { alignTable } from "../table.ts";
import type { Measured } from "./generator.ts";

/** What was measured; what is printed as a line of JSON. */
export interface Asked {
  readonly operation: string;
  readonly connections: number;
  readonly server: string;
}

/** A measurement, or why there is none. */
export type Row = (Asked & Measured) | (Asked & { readonly notMeasured: string });

const columns = [
  "operation",
  "connections",
  "server",
  "per second",
  "× echo",
  "× PyKMIP",
  "p50 ms",
  "p99 ms",
  "failed",
  "µs: server",
  "postgres",
  "cpu: server",
  "generator",
  "load average",
];

/** A table for people: rates beside the ratios to the same operation at the same number of connections elsewhere. */
export function table(rows: readonly Row[]): string {
  const lines = [columns, ...rows.map((row) => cells(row, rows))];
  return alignTable(lines, [0, 2]);
}

function cells(row: Row, rows: readonly Row[]): string[] {
  const head = [row.operation, String(row.connections), row.server];
  if ("notMeasured" in row) return [...head, "not measured", ...columns.slice(4).map(() => "")];
  const ratio = (server: string) => {
    const other = rows.find(
      (each) => each.server === server && each.operation === row.operation && each.connections === row.connections,
    );
    if (other === undefined || "notMeasured" in other || row.server !== "keyfleet") return "";
    return (row.perSecond / other.perSecond).toFixed(2);
  };
  const micros = (name: string) => row.serverMicros[name]?.toFixed(0) ?? "";
  return [
    ...head,
    row.perSecond.toFixed(0),
    ratio("echo"),
    ratio("PyKMIP"),
    row.p50Ms.toFixed(2),
    row.p99Ms.toFixed(2),
    String(row.failed),
    micros("server"),
    micros("postgres"),
    percent(row.serverCpu.server ?? 0),
    percent(row.cpu),
    row.loadAverage.toFixed(1),
  ];
}

function percent(share: number): string {
  return `${Math.round(100 * share)}%`;
}
