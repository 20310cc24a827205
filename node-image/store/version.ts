/** A version as "major.minor.patch", what comes behind it ignored: a pre-release has the features of its release. */
function numbers(version: string): readonly number[] {
  return version.split(/[-+]/, 1)[0]?.split(".").map(Number) as readonly number[];
}

/** Less than 0 when `one` is older than `other`, more than 0 when it is newer. */
export function compareVersions(one: string, other: string): number {
  // Asked for each write, and nearly always so.
  if (one === other) return 0;
  const [left, right] = [numbers(one), numbers(other)];
  const at = [0, 1, 2].find((place) => (left[place] ?? 0) !== (right[place] ?? 0));
  return at === undefined ? 0 : (left[at] ?? 0) - (right[at] ?? 0);
}

/** Whether software of that version may work in a fleet of that feature level: not older, and at most one minor version newer. */
export function fitsLevel(version: string, featureLevel: string): "fits" | "tooOld" | "tooNew" {
  if (compareVersions(version, featureLevel) < 0) return "tooOld";
  const [[major, minor], [levelMajor, levelMinor]] = [numbers(version), numbers(featureLevel)];
  return major === levelMajor && (minor ?? 0) - (levelMinor ?? 0) <= 1 ? "fits" : "tooNew";
}
