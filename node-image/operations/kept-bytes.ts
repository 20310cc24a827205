/** Counts bytes that stay in memory between requests, of each caller and in all. */
export interface KeptBytes {
  /** Takes room for `wanted` bytes in place of the `held` ones if there is, or `always`; whether it was taken. Less always fits. */
  resize(caller: string, held: number, wanted: number, always?: boolean): boolean;
}

/** Bounds; who would go beyond them is refused. */
export interface KeptBytesLimits {
  /** Eight callers have room whatever each of them does. */
  readonly ofCallerBytes: number;
  readonly allBytes: number;
  /** What has no more than this is bounded by its number alone: large ones must not keep it out. */
  readonly smallBytes: number;
}

/** Bounds that suit a node with 2 GiB. */
export const keptBytesLimits: KeptBytesLimits = {
  ofCallerBytes: 8_388_608,
  allBytes: 67_108_864,
  smallBytes: 16_384,
};

/** Nothing is kept yet. */
export function keptBytes(limits: KeptBytesLimits = keptBytesLimits): KeptBytes {
  const heldBy = new Map<string, number>();
  let all = 0;
  const counted = (bytes: number) => (bytes <= limits.smallBytes ? 0 : bytes);
  return {
    resize: (caller, held, wanted, always = false) => {
      const more = counted(wanted) - counted(held);
      const own = (heldBy.get(caller) ?? 0) + more;
      const fits = own <= limits.ofCallerBytes && all + more <= limits.allBytes;
      if (more > 0 && !fits && !always) return false;
      all += more;
      if (own > 0) heldBy.set(caller, own);
      else heldBy.delete(caller);
      return true;
    },
  };
}
