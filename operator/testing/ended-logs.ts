import type { Member } from "@keyfleet/crds/kms-node.ts";
import type { Volume } from "./simulated-node.ts";

/** Watches what volumes hold of logs that have ended. */
export class EndedLogs {
  /** What each volume held of each log that has ended, when that was looked at last. */
  readonly #held = new Map<Volume, Map<string, number>>();

  /**
   * Volumes that took in more of a log than its end as they know it; what one took in before it heard of the end stays.
   * Called after each step.
   */
  takenInBeyond(volumes: readonly Volume[]): string[] {
    return volumes.flatMap((volume) => {
      const before = this.#held.get(volume) ?? new Map<string, number>();
      this.#held.set(volume, before);
      const fences = volume.clusterId === undefined ? [] : [...volume.fences];
      return fences
        .filter(([log]) => log !== volume.incarnation)
        .flatMap(([log, end]) => {
          const [held, earlier] = [volume.holds.get(log) ?? 0, before.get(log)];
          before.set(log, held);
          const isBeyond = earlier !== undefined && held > Math.max(end, earlier);
          return isBeyond ? [`${log} was taken in beyond its end ${end}`] : [];
        });
    });
  }
}

/** A member by its name, and its volume. */
interface Holder {
  readonly name: string;
  readonly volume: Volume;
}

/** What one member holds of logs of nobody any more, and another does not. */
export function missingOf(members: readonly Holder[]): string[] {
  const living = new Set(members.map(({ volume }) => volume.incarnation));
  return members.flatMap(({ name, volume }) =>
    [...volume.holds]
      .filter(([log]) => !living.has(log))
      .flatMap(([log, sequence]) =>
        members
          .filter(({ volume: theirs }) => (theirs.holds.get(log) ?? 0) < sequence)
          .map(
            (other) =>
              `${name} holds ${sequence} of ${log}, ${other.name} never gets more than ${other.volume.holds.get(log)}`,
          ),
      ),
  );
}

/** Members of a list that have departed with an earlier end than what members hold of their log. */
export function beyondEnd(listed: readonly Member[], members: readonly Holder[]): string[] {
  return listed.flatMap(({ name, standing, incarnation = "", lastSequence = 0 }) => {
    const beyond = members.find(({ volume }) => (volume.holds.get(incarnation) ?? 0) > lastSequence);
    if (standing !== "Departed" || beyond === undefined) return [];
    const held = beyond.volume.holds.get(incarnation);
    return [`${name} as departed at ${lastSequence}, and ${beyond.name} holds ${held}`];
  });
}
