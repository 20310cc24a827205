/** Lines of cells as a table for people; the columns named are aligned to the left, numbers to the right. */
export function alignTable(lines: readonly (readonly string[])[], left: readonly number[]): string {
  const widths = (lines[0] ?? []).map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  const text = lines.map((line) =>
    line
      .map((cell, at) => (left.includes(at) ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join("  "),
  );
  return text.map((line) => line.trimEnd()).join("\n");
}
