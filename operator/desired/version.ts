/** A version as numbers; a pre-release (0.2.0-rc1) comes before its release. */
interface Parsed {
  readonly numbers: readonly [major: number, minor: number, patch: number];
  readonly preRelease: string;
}

/** Below, equal (0) or above zero, as in every comparison. What is no version comes first. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parsed(a), parsed(b)];
  for (const at of [0, 1, 2] as const)
    if (left.numbers[at] !== right.numbers[at]) return left.numbers[at] - right.numbers[at];
  if (left.preRelease === right.preRelease) return 0;
  if (left.preRelease === "" || right.preRelease === "") return left.preRelease === "" ? 1 : -1;
  return left.preRelease < right.preRelease ? -1 : 1;
}

/** The highest of some versions; undefined when there are none. */
export function highestVersion(versions: readonly string[]): string | undefined {
  return [...versions].sort(compareVersions).at(-1);
}

/** The lowest of some versions; undefined when there are none. */
export function lowestVersion(versions: readonly string[]): string | undefined {
  return [...versions].sort(compareVersions)[0];
}

/** Whether going from one version to another is at most one minor step within the same major version. */
export function isOneStep(from: string, to: string): boolean {
  const [before, after] = [parsed(from).numbers, parsed(to).numbers];
  return before[0] === after[0] && after[1] - before[1] <= 1;
}

function parsed(version: string): Parsed {
  const [, major, minor, patch, preRelease = ""] = /^(\d+)\.(\d+)\.(\d+)(?:-(.*))?$/.exec(version) ?? [];
  return { numbers: [Number(major ?? -1), Number(minor ?? -1), Number(patch ?? -1)], preRelease };
}
