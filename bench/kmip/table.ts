import { alignTable } from "../table.ts";
import type { Measured } from "./generator.ts";

/** One measurement; what is printed as a line of JSON. */
export interface Row extends Measured {
  readonly operation: string;
  readonly connections: number;
  readonly server: string;
}

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
  "cpu: server",
  "postgres",
  "load",
];

/** A table for people: rates beside the ratios to the same operation at the same number of connections elsewhere. */
export function table(rows: readonly Row[]): string {
  const lines = [columns, ...rows.map((row) => cells(row, rows))];
  return alignTable(lines, [0, 2]);
}

function cells(row: Row, rows: readonly Row[]): string[] {
  const ratio = (server: string) => {
    const other = rows.find(
      (each) => each.server === server && each.operation === row.operation && each.connections === row.connections,
    );
    return other === undefined || row.server !== "keyfleet" ? "" : (row.perSecond / other.perSecond).toFixed(2);
  };
  const cpu = (name: string) => (row.serverCpu[name] === undefined ? "" : percent(row.serverCpu[name]));
  return [
    row.operation,
    String(row.connections),
    row.server,
    row.perSecond.toFixed(0),
    ratio("echo"),
    ratio("PyKMIP"),
    row.p50Ms.toFixed(2),
    row.p99Ms.toFixed(2),
    String(row.failed),
    cpu("server"),
    cpu("postgres"),
    percent(row.cpu),
  ];
}

function percent(share: number): string {
  return `${Math.round(100 * share)}%`;
}
