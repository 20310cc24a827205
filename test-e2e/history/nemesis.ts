import { setTimeout as pause } from "node:timers/promises";
import type { Random } from "../../node-image/testing/random-stream.ts";
import { faults, type Target } from "./faults.ts";
import type { Recorder } from "./record.ts";
import type { World } from "./world.ts";

const gapMs = [100, 1_500] as const;
const holdMs = [300, 4_000] as const;

/** Hurts the fleet for a time: faults one after another, in several lanes at once, all taken back at the end. */
export async function nemesis(options: {
  readonly world: World;
  readonly recorder: Recorder;
  readonly random: Random;
  readonly lanes: number;
  /** Kinds of faults to choose from; all when empty. */
  readonly kinds: readonly string[];
  readonly going: () => boolean;
}): Promise<void> {
  const busy = new Set<string>();
  const lanes = Array.from({ length: options.lanes }, (_, lane) => runLane(options, lane, busy));
  await Promise.all(lanes);
}

async function runLane(options: Parameters<typeof nemesis>[0], lane: number, busy: Set<string>): Promise<void> {
  const { world, recorder, going } = options;
  const random = options.random.fork(`lane ${lane}`);
  while (going()) {
    await pause(random.between(...gapMs));
    if (!going()) return;
    const kind = choose(random, options.kinds);
    // One fault of a kind at a time: taking one back must not take the other back too.
    if (busy.has(kind)) continue;
    busy.add(kind);
    try {
      await hurt(kind, { world, recorder, random, nodes: world.members });
    } finally {
      busy.delete(kind);
    }
  }
}

async function hurt(kind: string, target: Target): Promise<void> {
  const undo = await faults[kind]?.run(target);
  if (undo === undefined) return;
  try {
    await pause(target.random.between(...holdMs));
  } finally {
    target.recorder.did(kind, await undo());
  }
}

function choose(random: Random, kinds: readonly string[]): string {
  const wanted = Object.entries(faults).filter(([kind]) => kinds.length === 0 || kinds.includes(kind));
  return random.pick(wanted.flatMap(([kind, { weight }]) => Array<string>(weight).fill(kind)));
}
