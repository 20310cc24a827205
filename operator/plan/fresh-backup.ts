import { copiesOf } from "../desired/upgrade-requests.ts";
import { compareVersions } from "../desired/version.ts";
import { clockDifferenceMs, servingVersions } from "./roll-gates.ts";
import type { Blocked, View } from "./types.ts";

/** Whoever makes backups writes here, on the KmsCluster of any site, when the last one was made (RFC 3339). */
export const backupMark = "keyfleet.io/backed-up-at";
const hourMs = 3_600_000;

/**
 * An upgrade begins only with a backup that is not older than spec.upgrade.backupMaxAgeHours. One that has begun goes on,
 * however old the backup becomes, and going back needs none: a fleet of two versions is what nobody wants to stay.
 */
export function freshBackup(view: View): Blocked[] {
  const { cluster, nowMs } = view.observed;
  const { target, level = target } = view.desired.fleet;
  const hours = cluster.spec.upgrade?.backupMaxAgeHours;
  const [only = level, ...others] = servingVersions(view.desired.fleet);
  if (hours === undefined || others.length > 0 || compareVersions(target, only) <= 0) return [];
  const told = toldTimes(view);
  if (told.some((ms) => nowMs - ms <= hours * hourMs)) return [];
  const { name, namespace = "default" } = cluster.metadata;
  const last = told.length === 0 ? "none is told" : `the last one is of ${new Date(Math.max(...told)).toISOString()}`;
  return [
    {
      gate: "freshBackup",
      subject: name,
      message: `the upgrade to ${target} begins only with a backup that is at most ${hours} h old; ${last}`,
      remedy:
        `make one, then say so: kubectl -n ${namespace} annotate kms ${name} ${backupMark}=$(date -u +%FT%TZ) --overwrite; ` +
        "or take out spec.upgrade.backupMaxAgeHours",
    },
  ];
}

/** What any site's copy says, when it is a time and not one that is yet to come. */
function toldTimes({ observed }: View): number[] {
  return copiesOf(observed)
    .map((copy) => Date.parse(copy?.metadata.annotations?.[backupMark] ?? ""))
    .filter((ms) => ms <= observed.nowMs + clockDifferenceMs);
}
