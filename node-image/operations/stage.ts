import { merged, satisfies } from "../objects/merge.ts";
import { Refusal } from "../objects/refusal.ts";
import { type Change, fact, type ManagedObject, type Store } from "../objects/types.ts";
import type { Context } from "./context.ts";
import type { KeptBytesLimits } from "./kept-bytes.ts";
import { notStoredYet, type UsageCounter, type UsageDecision } from "./usage-keeper.ts";

/** All by which an operation makes something true: of the node, or of a stage over it. */
export type Effects = Pick<Context, "store" | "usage" | "whenTrue">;

/** Effects that are seen by whoever asks them, and become true all at once or never. */
export interface Stage {
  readonly effects: Effects;
  /** Makes everything that was staged true; all or nothing. */
  commit(): Promise<void>;
  /** Nobody asks it any more: it gives back its room. */
  close(): void;
}

/** A change of Usage Limits: what it writes is decided anew when it becomes true, since until then others use the object. */
interface Counted {
  readonly id: string;
  readonly decide: UsageDecision;
}

/** What a stage is laid over, and whose room it takes. */
export type Below = Effects & Pick<Context, "caller" | "staged">;

/**
 * Of what stages hold: a request of a few kilobytes can change a hundred objects, each of which may be large. What would go
 * beyond is refused.
 */
export const stagedBytesLimits: KeptBytesLimits = {
  ofCallerBytes: 4_194_304,
  allBytes: 16_777_216,
  smallBytes: 16_384,
};

/** Lays a stage over what an operation writes to: for batches that must leave nothing when they fail (KMIP Undo). */
export function stageOver({ store, usage, whenTrue, caller, staged }: Below): Stage {
  const changes: (Change | Counted)[] = [];
  const counted = new Set<string>();
  const afterwards: (() => void)[] = [];
  let held = 0;
  const holdMore = (bytes: number) => {
    if (!staged.resize(caller.identity, held, held + bytes)) throw tooMuchStaged();
    held += bytes;
  };
  const layer = layerOver(store, holdMore);
  const refuseChanged = (id: string) => {
    if (counted.has(id)) throw notStoredYet();
  };
  const stagedUsage: UsageCounter = {
    take: async (id, units, finer) => {
      refuseChanged(id);
      await usage.take(id, units, finer);
    },
    update: async (id, decide) => {
      const object = await layer.object(id);
      if (object === undefined) throw notStoredYet();
      await layer.write([{ kind: "change", id, facts: 0, attributes: decide(object) }]);
      counted.add(id);
      changes.push({ id, decide });
    },
    refuseChanged,
    alone: (ids, work) => usage.alone(ids, work),
  };
  return {
    effects: {
      store: {
        ...layer,
        // A node whose disk was set back takes another one, perhaps in the middle of the batch.
        get holder() {
          return store.holder;
        },
        write: async (wanted) => {
          await layer.write(wanted);
          changes.push(...wanted);
        },
      },
      usage: stagedUsage,
      whenTrue: (work) => void afterwards.push(work),
    },
    commit: async () => {
      if (changes.length > 0)
        await usage.alone([...counted].sort(), async () => store.write(await decided(changes, counted, store)));
      for (const work of afterwards) whenTrue(work);
    },
    close: () => {
      staged.resize(caller.identity, held, 0);
      held = 0;
    },
  };
}

function tooMuchStaged(): Refusal {
  return new Refusal(
    "PermissionDenied",
    "Batches that may be undone hold too much of the objects that they change: send fewer items at once, or try again",
    "ServerLimitExceeded",
  );
}

/** A store whose writes stay in memory; `holdMore` is told before of how many bytes, and throws Refusal where there are too many. */
function layerOver(base: Store, holdMore: (bytes: number) => void): Omit<Store, "holder"> {
  const staged = new Map<string, ManagedObject>();
  // A batch may change many large objects: the material of those stays below, where each is read when it is used.
  const madeHere = new Set<string>();
  const whole = (object: ManagedObject, below: ManagedObject | undefined): ManagedObject =>
    madeHere.has(object.id) || (object.facts & fact.destroyed) !== 0 ? object : { ...object, sealed: below?.sealed };
  const objects = async (ids: readonly string[]) => {
    const below = await base.objects(ids.filter((id) => !madeHere.has(id)));
    const found = new Map(below.map((object) => [object.id, object]));
    return ids.flatMap((id) => {
      const [changed, under] = [staged.get(id), found.get(id)];
      return (changed === undefined ? under : whole(changed, under)) ?? [];
    });
  };
  return {
    onRemote: (marker, listener) => base.onRemote(marker, listener),
    object: async (id) => (staged.has(id) ? (await objects([id]))[0] : base.object(id)),
    objects,
    descriptions: async function* (ids) {
      yield ids.flatMap((id) => staged.get(id) ?? []);
      yield* base.descriptions(ids.filter((id) => !staged.has(id)));
    },
    locate: async (filter, most) => {
      const own = [...staged.values()].filter((object) => satisfies(object, filter)).map(({ id }) => id);
      const below = await base.locate(filter, most);
      return [...own.reverse(), ...below.filter((id) => !staged.has(id))];
    },
    write: async (wanted) => {
      const before = new Map((await objects(wanted.map(({ id }) => id))).map((object) => [object.id, object]));
      const after = new Map<string, ManagedObject>();
      for (const change of wanted) after.set(change.id, merged(after.get(change.id) ?? before.get(change.id), change));
      const kept = [...after.values()].map((object) =>
        madeHere.has(object.id) || !before.has(object.id) ? object : { ...object, sealed: undefined },
      );
      holdMore(kept.reduce((sum, object) => sum + bytesOf(object) - bytesOf(staged.get(object.id)), 0));
      for (const object of kept) {
        if (!before.has(object.id)) madeHere.add(object.id);
        staged.set(object.id, object);
      }
    },
  };
}

/** What an object takes in memory, about: attributes four times their characters. */
function bytesOf(object: ManagedObject | undefined): number {
  if (object === undefined) return 0;
  return 4 * JSON.stringify([...object.attributes]).length + (object.sealed?.length ?? 0);
}

/** The changes in their order, those of Usage Limits as they follow from the objects that are stored now. Throws Refusal. */
async function decided(
  changes: readonly (Change | Counted)[],
  counted: ReadonlySet<string>,
  store: Store,
): Promise<Change[]> {
  const latest = new Map((await store.objects([...counted])).map((object) => [object.id, object]));
  return changes.map((each) => {
    const change = "decide" in each ? anew(each, latest.get(each.id)) : each;
    if (counted.has(change.id)) latest.set(change.id, merged(latest.get(change.id), change));
    return change;
  });
}

function anew({ id, decide }: Counted, object: ManagedObject | undefined): Change {
  if (object === undefined) throw notStoredYet();
  return { kind: "change", id, facts: 0, attributes: decide(object) };
}
