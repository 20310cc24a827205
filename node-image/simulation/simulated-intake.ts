import { StoreError } from "../store/error.ts";
import { encodeHeads } from "../store/head.ts";
import { type CheckedRows, type Intake, type SnapshotRow, type StoreMark, vectorOf } from "../store/intake.ts";
import type { State } from "../store/law.ts";
import { verified } from "../store/operation.ts";
import { decodeState, encodeState } from "../store/state.ts";
import type { Operation } from "../store/types.ts";
import { checksum, keyring } from "./checksum.ts";
import type { Disk } from "./disk.ts";

/** Objects on a page of a snapshot; small, so that troubles come between two of them. */
const pageSize = 20;
const zero = "00000000-0000-0000-0000-000000000000";

/** Takes in another node's state as the real intake does, on a simulated disk. Each step is a transaction of its own. */
export class SimulatedIntake implements Pick<Intake, keyof Intake> {
  readonly #disk: Disk;
  readonly #alone: <Result>(work: () => Result) => Promise<Result>;
  readonly #refuses: (hlc: bigint) => boolean;
  readonly #checked = new WeakMap<CheckedRows, readonly [string, State][]>();

  constructor(parts: {
    readonly disk: Disk;
    readonly alone: <Result>(work: () => Result) => Promise<Result>;
    readonly refuses: (hlc: bigint) => boolean;
  }) {
    this.#disk = parts.disk;
    this.#alone = parts.alone;
    this.#refuses = parts.refuses;
  }

  isMade(operation: Operation): boolean {
    return verified(keyring, operation);
  }

  /** Nobody lies in a simulation. */
  isProved(_mark: StoreMark): boolean {
    return true;
  }

  get importing() {
    return this.#disk.importing;
  }

  begin(identity: string, mark: StoreMark): Promise<void> {
    const disk = this.#disk;
    return this.#alone(() => {
      if (mark.heads.some(({ hlc }) => this.#refuses(hlc)))
        throw new StoreError("invalid", "its logs end too far in the future");
      const floor = disk.importing?.floor ?? disk.vector();
      if (disk.importing === undefined) disk.aside = disk.held();
      disk.clear();
      disk.importing = { identity, heads: mark.heads, floor, aside: true, after: zero, stage: "rows" };
    });
  }

  async checked(rows: readonly SnapshotRow[], after: string): Promise<CheckedRows> {
    const objects = rows.map(({ id, state, mac }): [string, State] => {
      const decoded = decodeState(state);
      if (!checksum(Buffer.from(id + state)).equals(mac) || decoded === undefined)
        throw new StoreError("invalid", "it sent an object that no member has written");
      return [id, decoded];
    });
    const checked = { after, last: rows.at(-1)?.id ?? zero, prepared: { leaves: [], columns: [] } };
    this.#checked.set(checked, objects);
    return checked;
  }

  rows(checked: CheckedRows): Promise<void> {
    const disk = this.#disk;
    return this.#alone(() => {
      if (disk.importing?.stage !== "rows" || disk.importing.after !== checked.after) throw isOver();
      for (const [id, state] of this.#checked.get(checked) ?? []) disk.objects.set(id, state);
      disk.importing = { ...disk.importing, after: checked.last };
    });
  }

  rowsDone(_kept: readonly Operation[]): Promise<void> {
    const disk = this.#disk;
    return this.#alone(() => {
      if (disk.importing?.stage !== "rows") throw isOver();
      for (const { origin, seq, hlc, mac } of disk.importing.heads) disk.bases.set(origin, { seq, hlc, mac });
      disk.importing = { ...disk.importing, stage: "tail" };
    });
  }

  confirm(mark: StoreMark): Promise<boolean> {
    const disk = this.#disk;
    return this.#alone(() => {
      if (disk.importing?.stage !== "tail") throw isOver();
      const same = sorted(vectorOf(mark)) === sorted(disk.vector()) && mark.root.equals(rootOf(disk));
      if (!same) return false;
      if (disk.aside !== undefined) disk.join(disk.aside);
      disk.aside = undefined;
      disk.importing = undefined;
      return true;
    });
  }

  abandon(): Promise<boolean> {
    const disk = this.#disk;
    return this.#alone(() => {
      if (disk.importing === undefined || disk.aside === undefined) return false;
      disk.hold(disk.aside);
      disk.aside = undefined;
      disk.importing = undefined;
      return true;
    });
  }
}

function isOver(): StoreError {
  return new StoreError("unavailable", "the snapshot that this belongs to is not taken in any more");
}

/** What mesh.mark() gives; no row while a snapshot is taken in. */
export function markOf(disk: Disk): Record<string, unknown>[] {
  if (disk.importing !== undefined) return [];
  const heads = [...disk.vector().keys()].map((origin) => ({
    origin,
    ...(disk.head(origin) as NonNullable<ReturnType<Disk["head"]>>),
  }));
  return [{ root: rootOf(disk), heads: JSON.parse(encodeHeads(heads)), objects: disk.objects.size }];
}

/** What mesh.snapshot(after) gives. */
export function pageOf(disk: Disk, after: string): Record<string, unknown>[] {
  const ids = [...disk.objects.keys()].filter((id) => id > after).sort();
  return ids.slice(0, pageSize).map((id) => {
    const state = encodeState(disk.objects.get(id) as NonNullable<ReturnType<Disk["objects"]["get"]>>);
    return { s: JSON.stringify([id, state, checksum(Buffer.from(id + state)).toString("base64"), null]) };
  });
}

/** Sums up all objects. */
export function rootOf(disk: Disk): Buffer {
  const states = [...disk.objects].sort(([one], [other]) => (one < other ? -1 : 1));
  return checksum(Buffer.from(states.map(([id, state]) => id + encodeState(state)).join()));
}

function sorted(vector: ReadonlyMap<string, number>): string {
  return JSON.stringify([...vector].filter(([, seq]) => seq > 0).sort());
}
